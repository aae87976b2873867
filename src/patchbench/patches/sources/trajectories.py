"""Published trajectories: ``<repo>/<commit8>/model_patch.diff``, in a folder or on the hub."""

from __future__ import annotations

import contextlib
import os
import re
from functools import partial
from pathlib import Path

from patchbench.errors import BadInput
from patchbench.patches.sources.base import (
    SHORTEST,
    Hit,
    Source,
    Wanted,
    Where,
    read_file,
    same_commit,
)
from patchbench.patches.sources.runs import PATCH, PROMPTS

COMMIT = re.compile(r"[0-9a-f]{7,40}")
WANTED_FILES = (f"*/{PATCH}", *(f"*/{name}" for name in PROMPTS))
DEPTH = 3
COMPLETE = ".patchbench-complete"


class Trajectories(Source):
    """Files of a data set have no times of their own: there is one folder per commit."""

    @property
    def place(self) -> Path:
        return Path(self.where.path) if self.where.path else snapshot(self.where)

    def candidates(self, wanted: Wanted) -> list[Hit]:
        found = []
        for folder in commit_folders(self.place).get(wanted.commit[:SHORTEST], ()):
            repo = folder.parent.name
            if not same_commit(wanted.commit, folder.name):
                continue
            if self.where.repo is not None and repo != self.where.repo:
                continue
            path = folder / PATCH
            prompt = next((folder / name for name in PROMPTS if (folder / name).is_file()), None)
            if path.is_file():
                read = partial(read_file, path)
                found.append(Hit("trajectories", str(path), read, prompt=prompt))
            else:
                note = f"a folder without {PATCH}"
                found.append(Hit("trajectories", str(folder), None, note=note, prompt=prompt))
        return found


_FOLDERS: dict[Path, dict[str, list[Path]]] = {}


def commit_folders(root: Path) -> dict[str, list[Path]]:
    """Folders named after commits, by the first characters of their hash; read once."""
    key = root.resolve()
    if key not in _FOLDERS:
        found: dict[str, list[Path]] = {}
        waiting = [(root, 0)]
        while waiting:
            folder, depth = waiting.pop()
            try:
                entries = sorted(
                    (e for e in os.scandir(folder) if e.is_dir()), key=lambda e: e.name
                )
            except OSError:
                continue
            for entry in entries:
                if COMMIT.fullmatch(entry.name):
                    found.setdefault(entry.name[:SHORTEST], []).append(Path(entry.path))
                elif depth + 1 < DEPTH:
                    waiting.append((Path(entry.path), depth + 1))
        _FOLDERS[key] = found
    return _FOLDERS[key]


_SNAPSHOTS: dict[tuple[str, str], Path] = {}


def snapshot(where: Where) -> Path:
    """The data set's patches, from the local cache of the hub or else fetched once. Raises
    BadInput that says what to install or to give."""
    assert where.hub is not None
    key = (where.hub, where.revision)
    if key not in _SNAPSHOTS:
        _SNAPSHOTS[key] = _fetched(*key)
    return _SNAPSHOTS[key]


def _fetched(name: str, revision: str) -> Path:
    try:
        from huggingface_hub import snapshot_download
    except ImportError as error:
        raise BadInput(
            f"patches of hub: {name}: huggingface_hub is not installed | next: pip install "
            "'patchbench[hub]', or download the data set and give its folder as path:"
        ) from error

    def get(local: bool) -> Path:
        return Path(
            snapshot_download(
                repo_id=name,
                revision=revision,
                repo_type="dataset",
                allow_patterns=list(WANTED_FILES),
                local_files_only=local,
            )
        )

    # A download that was interrupted leaves a part behind, which must not pass for the whole.
    with contextlib.suppress(Exception):  # the library has a dozen ways to say: not there
        here = get(True)
        if (here / COMPLETE).exists():
            return here
    try:
        here = get(False)
    except Exception as error:
        said = " ".join(str(error).split())[:200] or type(error).__name__
        raise BadInput(
            f"patches of hub: {name}: can't be fetched ({said}) | next: go online, or download the "
            "data set elsewhere and give its folder as path:"
        ) from error
    with contextlib.suppress(OSError):
        (here / COMPLETE).touch()
    return here
