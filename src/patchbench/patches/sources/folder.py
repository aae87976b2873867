"""A plain folder with one COMMIT.diff (or .patch) per task."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from patchbench.patches.sources.base import Hit, Source, Wanted, read_file

SUFFIXES = (".diff", ".patch")


def patch_files(folder: Path, commit: str) -> list[Path]:
    """All files for a commit: by all of its hash, 12 or 8 characters, the longest first."""
    stems = (commit, commit[:12], commit[:8])
    paths = [folder / f"{stem}{suffix}" for stem in stems for suffix in SUFFIXES]
    return [path for path in paths if path.is_file()]


def find_patch(folder: Path, commit: str) -> Path | None:
    """The patch file for a commit: the one with the longest name."""
    return next(iter(patch_files(folder, commit)), None)


class Folder(Source):
    """Its files have no time that could be trusted (a checkout sets it): the longest name wins."""

    def candidates(self, wanted: Wanted) -> list[Hit]:
        return [
            Hit("folder", str(path), partial(read_file, path))
            for path in patch_files(self.place, wanted.commit)
        ]

    def looked_for(self, wanted: Wanted) -> str:
        if not self.place.is_dir():
            return f"{self.place}: no folder"
        return f"{self.place / f'{wanted.commit[:8]}.diff'}: no such file"
