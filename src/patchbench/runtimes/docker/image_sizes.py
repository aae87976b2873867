"""Sizes of images: measured ones, as far as there are any, else a recipe's estimate."""

from __future__ import annotations

import functools
from pathlib import Path

import msgspec

from patchbench.records import BASELINE, Built
from patchbench.subject import Recipe
from patchbench.system.disk import MB

# Size of an arm's layer above its parent's, as long as none was measured.
ARM_SHARE = 10


def need(results: Path, subject: str, recipe: Recipe, arm: str) -> int:
    """Return the bytes that an arm's image adds to its parent's (a baseline's to its base): the
    most that such images took so far, else the recipe's estimate."""
    measured = _measured(results, subject, _stamp(results))
    if measured is None:
        return recipe.disk_mb * MB // (1 if arm == BASELINE else ARM_SHARE)
    return measured[0 if arm == BASELINE else 1]


def _stamp(results: Path) -> int:
    folder = results / "images"
    return folder.stat().st_mtime_ns if folder.is_dir() else 0


@functools.lru_cache(maxsize=8)
def _measured(results: Path, subject: str, _stamp: int) -> tuple[int, int] | None:
    """Return the largest own sizes of parents' and arms' images, bytes, by the records; None before
    the first one."""
    parents, arms = [0], [0]
    for path in (results / "images").glob("*/*.json"):
        if path.name == "released.json":
            continue
        try:
            built = msgspec.json.decode(path.read_bytes(), type=Built)
        except (OSError, msgspec.MsgspecError):
            continue
        if f"/{subject}:" in built.image:
            (parents if built.arm == BASELINE else arms).append(built.own_size)
    return (max(parents), max(arms)) if max(parents) else None
