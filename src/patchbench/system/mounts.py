"""How far a lock reaches: on a disk of this machine one kernel keeps all locks; on a network's file
system it depends on how that is mounted.
"""

from __future__ import annotations

import functools
import os
from pathlib import Path
from typing import NamedTuple

TABLE = Path("/proc/self/mounts")

# File systems that other machines may see too. (Any that comes through FUSE may be one.)
NETWORK = (
    "nfs", "nfs4", "lustre", "gpfs", "beegfs", "ceph", "cifs", "smb3", "9p", "virtiofs", "afs",
    "glusterfs", "wekafs", "panfs", "pvfs2", "gfs2", "ocfs2",
)  # fmt: skip
FUSE = "fuse"


class Mount(NamedTuple):
    """One line of the table of mounts."""

    place: str
    kind: str
    options: tuple[str, ...]

    @property
    def network(self) -> bool:
        """Whether other machines may see these files too."""
        return self.kind in NETWORK or self.kind.partition(".")[0] == FUSE

    @property
    def locks_reach_all(self) -> bool:
        """Whether flock is certain to keep every other process out, on whatever machine: on a local
        disk always; on NFS unless the mount keeps locks to itself (``nolock``, ``local_lock``; see
        nfs(5)); on Lustre with ``flock`` (see mount.lustre(8)). Of others we don't know."""
        if not self.network:
            return True
        if self.kind in ("nfs", "nfs4"):
            kept = {"nolock", "local_lock=flock", "local_lock=all"}
            return not kept & {*self.options}
        return self.kind == "lustre" and "flock" in self.options


def parse(table: str) -> list[Mount]:
    """The mounts of a table in the form of /proc/self/mounts; lines of another form are passed
    over."""
    out = []
    for line in table.splitlines():
        fields = line.split(" ")
        if len(fields) >= 4:
            # A blank in a name stands there as \040, as octal escapes do for a few others.
            place = fields[1].encode().decode("unicode_escape")
            out.append(Mount(place, fields[2], tuple(fields[3].split(","))))
    return out


def holding(path: str, mounts: list[Mount]) -> Mount | None:
    """The mount that an absolute path lies on: the last of those with the longest place."""
    best: Mount | None = None
    for mount in mounts:
        inside = f"{path}/".startswith(f"{mount.place.rstrip('/')}/")
        if inside and (best is None or len(mount.place) >= len(best.place)):
            best = mount
    return best


@functools.lru_cache(maxsize=64)
def of(path: Path) -> Mount | None:
    """The mount that a path lies on, or None if nobody can tell."""
    try:
        table = TABLE.read_text(errors="replace")
    except OSError:
        return None
    return holding(os.path.realpath(path), parse(table))


def is_shared(path: Path) -> bool:
    """Whether other machines may see the same files."""
    found = of(path)
    return found is not None and found.network


def locks_reach_all(path: Path) -> bool:
    """Whether a lock on a file of ours keeps everybody out, on other machines too."""
    found = of(path)
    return found is None or found.locks_reach_all
