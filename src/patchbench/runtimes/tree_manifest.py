"""Manifests of trees: what their files held when they were made. The process runtime has no walls
between its arms: one could change another's files, and that one would be charged with it."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import msgspec

from patchbench.system.files import write_json

COMPILED = "__pycache__"


def manifest_file(tree: Path) -> Path:
    """Return the path of a tree's manifest, beside the tree."""
    return tree.with_name(f".{tree.name}.manifest")


def write(content: Path, tree: Path) -> None:
    """Write down what the files of ``content`` hold, which is about to be renamed to ``tree``."""
    write_json(manifest_file(tree), dict(_digests(content)))


def damage(tree: Path) -> str:
    """Return the first file of a tree that is gone or changed since it was made; an empty text if
    none is, or if it was not written down. Files that came later don't count: engines write some.
    """
    try:
        known = msgspec.json.decode(manifest_file(tree).read_bytes(), type=dict[str, str])
    except (OSError, msgspec.MsgspecError):
        return ""
    found = dict(_digests(tree))
    return next((name for name, made in known.items() if found.get(name) != made), "")


def _digests(tree: Path) -> Iterator[tuple[str, str]]:
    for folder, folders, files in os.walk(tree):
        folders[:] = sorted(name for name in folders if name != COMPILED)
        links = [name for name in folders if Path(folder, name).is_symlink()]
        for name in sorted([*files, *links]):
            path = Path(folder, name)
            yield str(path.relative_to(tree)), _digest(path)


def _digest(path: Path) -> str:
    """Return a digest of a file's content, or of a link's target: what it leads to may lie outside,
    in an installed package."""
    if path.is_symlink():
        return f"link {path.readlink()}"
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return "unreadable"
