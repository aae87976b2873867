"""Where process ids mean what they mean here: one machine, one boot, one namespace of process ids.

A process of another namespace (a container, ``unshare``) or machine can't be seen from here, so it
is never taken for dead. One from before the last boot of this machine is dead for certain.
"""

from __future__ import annotations

import functools
import os
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from patchbench.system import slurm


class Space(NamedTuple):
    """A place of process ids; ``boot`` and ``namespace`` are ids of the kernel's."""

    host: str
    boot: str
    namespace: str

    @property
    def mark(self) -> str:
        """The boot and the namespace in short, for names of files."""
        return f"{self.boot[:8]}_{self.namespace}"

    @property
    def label(self) -> str:
        """The whole space, for labels."""
        return f"{self.host}:{self.boot}:pid:[{self.namespace}]"


@functools.cache
def here() -> Space:
    """Return the space of this process. Without /proc, or with that of another namespace, it is
    like no other: nothing is dead there."""
    boot, namespace = "unknown", f"p{os.getpid()}"
    with suppress(OSError):
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="utf-8").strip()
        name = str(Path("/proc/self/ns/pid").readlink())
        if str(Path("/proc/self").readlink()) == str(os.getpid()):
            namespace = "".join(filter(str.isdigit, name))
    return Space(slurm.host(), boot, namespace)


def identity(pid: int) -> str | None:
    """Return a living process's id, its start in clock ticks since boot, and the boot's id, or None
    if there is no such process. Unlike a process id, this triple is never used again; unlike a time
    of day, it survives a change of the clock. A zombie counts as dead: in a container it may never
    be reaped."""
    try:
        # Field 2, the name, may hold blanks and brackets: count from its closing bracket.
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="utf-8").strip()
    except OSError:
        return None
    return None if fields[0] in ("Z", "X") else f"{pid}:{fields[19]}:{boot}"


def is_alive(owner: str) -> bool:
    """Return True if a process with this identity lives in this space."""
    pid = owner.partition(":")[0]
    return pid.isdigit() and identity(int(pid)) == owner


def own_mark() -> str:
    """Return the identity of this process with its namespace, for all that it starts."""
    return f"{identity(os.getpid()) or ''}:{here().namespace}"


def is_dead(mark: str) -> bool:
    """Return True if the process with this mark is gone for certain."""
    owner, _, namespace = mark.rpartition(":")
    return namespace.isdigit() and namespace == here().namespace and not is_alive(owner)


def is_gone(pid: str, mark: str) -> bool:
    """Return True if a process of this machine that wrote its id and the mark of its space into a
    name is gone for certain."""
    boot, _, namespace = mark.partition("_")
    if len(boot) != len(here().boot[:8]) or not namespace.isdigit():
        return False
    ended = namespace == here().namespace and not Path("/proc", pid).exists()
    return ended or boot != here().boot[:8]
