"""Programs that run inside images: standard library only."""
