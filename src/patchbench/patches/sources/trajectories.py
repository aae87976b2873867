"""Published trajectories: ``<repo>/<commit8>/model_patch.diff``, in a folder or on the hub."""

from __future__ import annotations

import contextlib
import functools
import os
import re
from functools import partial
from pathlib import Path

from patchbench.errors import BadInput
from patchbench.patches.sources.base import (
    SHORTEST_HASH,
    Hit,
    PatchQuery,
    Source,
    is_commit,
    read_file,
)
from patchbench.patches.sources.runs import PATCH, PROMPTS
from patchbench.system.contained_file import is_contained

COMMIT = re.compile(r"[0-9a-f]{7,40}")
DATA_FILES = (f"*/{PATCH}", *(f"*/{name}" for name in PROMPTS))
DEPTH = 3
# Marks a complete download; an interrupted one must not pass for the whole data set.
COMPLETE = ".patchbench-complete"


class Trajectories(Source):
    """One folder per commit; files of a data set have no times of their own."""

    @property
    def path(self) -> Path:
        if self.place.path:
            return Path(self.place.path)
        assert self.place.hub is not None
        return snapshot(self.place.hub, self.place.revision)

    @property
    def root(self) -> Path:
        # The hub's cache has links to ../../blobs there.
        return self.path if self.place.path else self.path.parents[1]

    def hits(self, query: PatchQuery) -> list[Hit]:
        out = []
        for folder in commit_folders(self.path).get(query.commit[:SHORTEST_HASH], ()):
            repo = folder.parent.name
            if not is_commit(query.commit, folder.name) or self.place.repo not in (None, repo):
                continue
            path = folder / PATCH
            prompts = (folder / name for name in PROMPTS)
            prompt = next((file for file in prompts if is_contained(file, self.root)), None)
            if os.path.lexists(path):
                read = partial(read_file, path, self.root)
                out.append(Hit("trajectories", str(path), read, prompt=prompt))
            else:
                note = f"a folder without {PATCH}"
                out.append(Hit("trajectories", str(folder), None, note=note, prompt=prompt))
        return out


@functools.cache
def commit_folders(root: Path) -> dict[str, list[Path]]:
    """Return the folders named after commits, by the first characters of their hash."""
    out: dict[str, list[Path]] = {}
    waiting = [(root, 0)]
    while waiting:
        folder, depth = waiting.pop()
        try:
            entries = sorted((e for e in os.scandir(folder) if e.is_dir()), key=lambda e: e.name)
        except OSError:
            continue
        for entry in entries:
            if COMMIT.fullmatch(entry.name):
                out.setdefault(entry.name[:SHORTEST_HASH], []).append(Path(entry.path))
            elif depth + 1 < DEPTH:
                waiting.append((Path(entry.path), depth + 1))
    return out


@functools.cache
def snapshot(hub: str, revision: str) -> Path:
    """Return the folder of a data set's patches, from the hub's local cache or fetched once.
    Raises BadInput with the next step."""
    try:
        from huggingface_hub import snapshot_download
    except ImportError as error:
        raise BadInput(
            f"patches of hub: {hub}: huggingface_hub is not installed | next: pip install "
            "'patchbench[hub]', or download the data set and give its folder as path:"
        ) from error

    def get(local: bool) -> Path:
        return Path(
            snapshot_download(
                repo_id=hub,
                revision=revision,
                repo_type="dataset",
                allow_patterns=list(DATA_FILES),
                local_files_only=local,
            )
        )

    with contextlib.suppress(Exception):  # the library has a dozen exceptions for "not cached"
        folder = get(True)
        if (folder / COMPLETE).exists():
            return folder
    try:
        folder = get(False)
    except Exception as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise BadInput(
            f"patches of hub: {hub}: can't be fetched ({reason}) | next: go online, or download "
            "the data set elsewhere and give its folder as path:"
        ) from error
    with contextlib.suppress(OSError):
        (folder / COMPLETE).touch()
    return folder
