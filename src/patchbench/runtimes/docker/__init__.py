"""Arms in containers: images per commit, a sandbox per process, nothing left behind."""
