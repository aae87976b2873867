"""The Docker runtime: images per commit, a sandbox per process, nothing left behind."""
