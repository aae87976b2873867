"""A plain folder with one COMMIT.diff (or .patch) per task."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

from patchbench.patches.sources.base import Hit, PatchQuery, Source, read_file

SUFFIXES = (".diff", ".patch")


def patch_files(folder: Path, commit: str) -> list[Path]:
    """Return the files named by the commit's whole hash, its first 12 or its first 8 characters,
    in this order."""
    stems = (commit, commit[:12], commit[:8])
    paths = [folder / f"{stem}{suffix}" for stem in stems for suffix in SUFFIXES]
    return [path for path in paths if os.path.lexists(path)]


class Folder(Source):
    """Files without a reliable time (a checkout sets it): the longest name wins."""

    def hits(self, query: PatchQuery) -> list[Hit]:
        files = patch_files(self.path, query.commit)
        return [Hit("folder", str(path), partial(read_file, path, self.root)) for path in files]

    def search_note(self, query: PatchQuery) -> str:
        if not self.path.is_dir():
            return f"{self.path}: no folder"
        return f"{self.path / f'{query.commit[:8]}.diff'}: no such file"
