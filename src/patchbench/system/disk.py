"""Free space of the disks in bytes and inodes, and the rules about the reserve.

The figures come from statvfs each time, never from a counter of ours: a killed process leaks
nothing, and what other users write counts too.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from patchbench.config import DiskRules
from patchbench.errors import infra_fault
from patchbench.system.files import RESERVE

MB = 1 << 20


class Space(NamedTuple):
    """Free and total bytes and inodes of a file system."""

    path: Path
    free: int
    total: int
    inodes_free: int
    inodes: int

    @property
    def words(self) -> str:
        """The figures for a message."""
        return (
            f"{self.free / MB:.0f} of {self.total / MB:.0f} MiB and {self.inodes_free} inodes free "
            f"on {self.path}"
        )


def measure(path: Path) -> Space:
    """Return the space of the file system of a path (of its nearest existing parent)."""
    there = next(p for p in (path, *path.absolute().parents) if p.exists())
    fs = os.statvfs(there)
    total = fs.f_blocks * fs.f_frsize
    return Space(there, fs.f_bavail * fs.f_frsize, total, fs.f_favail, fs.f_files)


def same_disk(one: Path | None, other: Path) -> bool:
    """Return True if two folders lie on one file system."""
    return one is not None and one.stat().st_dev == measure(other).path.stat().st_dev


def shortage(spaces: Iterable[Space], rules: DiskRules, need_bytes: int = 0) -> str | None:
    """Return the file system that lacks room for ``need_bytes`` beside the reserve, with the
    figures; None if none does. The rule on inodes holds only if they are counted (not on btrfs)."""
    for space in spaces:
        if space.free < need_bytes + rules.reserve_mb * MB:
            return (
                f"need {need_bytes / MB:.0f} MiB and a reserve of {rules.reserve_mb} MiB; "
                f"{space.words}"
            )
        if space.inodes and space.inodes_free < rules.reserve_inodes:
            return f"need a reserve of {rules.reserve_inodes} inodes; {space.words}"
    return None


def check(places: Iterable[Path], rules: DiskRules, doing: str) -> None:
    """Raise InfraFault if a file system lacks the reserve. Called before heavy work (``doing``)."""
    if missing := shortage(map(measure, places), rules):
        step = "free space (or lower disk.reserve_mb)"
        raise infra_fault("infra.disk_full", doing, missing, step=step)


def set_aside(results: Path, rules: DiskRules) -> None:
    """Set the reserve for outcomes aside, if the disk has room for four times its size."""
    path, wanted = results / RESERVE, rules.outcomes_mb * MB
    if not wanted or (path.is_file() and path.stat().st_size == wanted):
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        if measure(results).free < 4 * wanted:
            return
        with path.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, wanted)
    except OSError:
        path.unlink(missing_ok=True)
