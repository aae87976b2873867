"""How full the disks are, in bytes and inodes, and whether there is room for what comes next.

The numbers come from statvfs each time, never from a counter of ours: a killed process leaks
nothing, and what other people write counts too.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from patchbench.config import DiskRules
from patchbench.errors import InfraFault
from patchbench.system.files import RESERVE

MB = 1 << 20


class Space(NamedTuple):
    """What a file system has left. Bytes and inodes; ``total`` is what we could ever use."""

    path: Path
    free: int
    total: int
    inodes_free: int
    inodes: int

    def says(self) -> str:
        """The numbers as a person reads them."""
        return (
            f"{self.free / MB:.0f} of {self.total / MB:.0f} MiB and {self.inodes_free} inodes free "
            f"on {self.path}"
        )


def measure(path: Path) -> Space:
    """Free and total space of the file system that a path is on (its nearest existing parent)."""
    there = next(p for p in (path, *path.absolute().parents) if p.exists())
    found = os.statvfs(there)
    return Space(
        there,
        found.f_bavail * found.f_frsize,
        found.f_blocks * found.f_frsize,
        found.f_favail,
        found.f_files,
    )


def same_disk(one: Path | None, other: Path) -> bool:
    """Whether two folders lie on one file system."""
    return one is not None and one.stat().st_dev == measure(other).path.stat().st_dev


def shortage(spaces: Iterable[Space], rules: DiskRules, need_bytes: int = 0) -> str | None:
    """Which file system lacks room for ``need_bytes`` beside the reserve, and by how much; None if
    all have it. A file system without a count of inodes (btrfs says 0) is not judged by them."""
    for space in spaces:
        wanted = need_bytes + rules.reserve_mb * MB
        if space.free < wanted:
            return (
                f"need {need_bytes / MB:.0f} MiB and a reserve of {rules.reserve_mb} MiB; "
                f"{space.says()}"
            )
        if space.inodes and space.inodes_free < rules.reserve_inodes:
            return f"need a reserve of {rules.reserve_inodes} inodes; {space.says()}"
    return None


def check(places: Iterable[Path], rules: DiskRules, doing: str) -> None:
    """Raise InfraFault before something heavy is begun without the reserve in place."""
    missing = shortage(map(measure, places), rules)
    if missing:
        raise InfraFault(
            f"infra.disk_full | {doing} | {missing} | nothing was charged to an agent | next: free "
            "space (or lower disk.reserve_mb), then run the same command again"
        )


def set_aside(results: Path, rules: DiskRules) -> None:
    """Put the reserve for outcomes in place, if the disk has room for it."""
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
