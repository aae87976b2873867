"""Programs that run inside images: standard library only, Python 3.8 or newer."""
