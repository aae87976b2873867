"""A plain folder with one COMMIT.diff (or .patch) per task."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Collection
from functools import partial
from pathlib import Path

from patchbench.patches.sources.base import Hit, PatchQuery, Source, read_file

SUFFIXES = (".diff", ".patch")
LENGTHS = (40, 12, 8)  # characters of a commit in a name
HASH = re.compile(r"[0-9a-f]{7,40}", re.IGNORECASE)
ALIKE = 0.7  # least likeness of a commit that may have been meant


def patch_files(folder: Path, commit: str) -> list[Path]:
    """Return the files named by the commit's whole hash, its first 12 or its first 8 characters,
    in this order."""
    stems = [commit[:length] for length in LENGTHS]
    paths = [folder / f"{stem}{suffix}" for stem in stems for suffix in SUFFIXES]
    return [path for path in paths if os.path.lexists(path)]


def stray_files(folder: Path, commits: Collection[str]) -> list[str]:
    """Return the files of a folder that look like patches and belong to no commit, by name, each
    with the mistake in brackets if it is known."""
    known = {commit[:length] for commit in commits for length in LENGTHS}
    names = sorted(entry.name for entry in os.scandir(folder) if not entry.is_dir())
    found = []
    for name in names:
        stem, suffix = Path(name).stem, Path(name).suffix
        named_so = suffix in SUFFIXES
        if (named_so and stem in known) or not (named_so or HASH.fullmatch(stem)):
            continue
        mistake = _mistake(stem, suffix, commits)
        found.append(f"{name} ({mistake})" if mistake else name)
    return found


def _mistake(stem: str, suffix: str, commits: Collection[str]) -> str:
    """Return the reason why a file's name belongs to no commit, or an empty text."""
    meant = next((c for c in commits if len(stem) > 6 and c.startswith(stem.lower())), "")
    if meant and suffix not in SUFFIXES:
        return f"neither {' nor '.join(SUFFIXES)}"
    if meant:
        return f"name it {meant[:8]}{suffix}"
    near = difflib.get_close_matches(stem[:8], [c[:8] for c in commits], n=1, cutoff=ALIKE)
    return f"did you mean {near[0]}?" if near else ""


class Folder(Source):
    """Files without a reliable time (a checkout sets it): the longest name wins."""

    def hits(self, query: PatchQuery) -> list[Hit]:
        files = patch_files(self.path, query.commit)
        return [Hit("folder", str(path), partial(read_file, path, self.root)) for path in files]

    def search_note(self, query: PatchQuery) -> str:
        if not self.path.is_dir():
            return f"{self.path}: no folder"
        return f"{self.path / f'{query.commit[:8]}.diff'}: no such file"

    def strays(self, commits: Collection[str]) -> list[str]:
        return stray_files(self.path, commits) if self.path.is_dir() else []
