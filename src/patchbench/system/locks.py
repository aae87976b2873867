"""Locks that die with their holder: flock on a file, released by the kernel on any exit.

The file says who holds it: process, machine, Slurm job. A holder that ends well takes its name
out. Where locks may not reach other machines (see ``mounts``), a name of another machine that still
stands there counts as a living holder unless Slurm says that its job is over: from here its
process can't be seen, and a lock that is taken away from a living holder ruins both.
"""

from __future__ import annotations

import errno
import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec

from patchbench.errors import InfraFault
from patchbench.records import Record
from patchbench.system import mounts, slurm

# What file systems say that know no flock (Lustre without the option, some FUSE ones).
NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL)


class Holder(Record, frozen=True, kw_only=True):
    """Who holds a lock. ``job`` is a Slurm job's id."""

    pid: int
    host: str
    job: str = ""

    @property
    def words(self) -> str:
        """The holder as messages name it: on this machine its process id says all."""
        if self.host == slurm.host():
            return str(self.pid)
        return f"{self.pid} on {self.host}" + (f" (Slurm job {self.job})" if self.job else "")


def try_lock(path: Path, *, inheritable: bool = False) -> int | None:
    """Take the lock or return None at once. The returned descriptor holds it while open."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    if not _flock(fd, path, fcntl.LOCK_EX) or _elsewhere(fd, path):
        os.close(fd)
        return None
    os.set_inheritable(fd, inheritable)
    mine = Holder(pid=os.getpid(), host=slurm.host(), job=slurm.job())
    os.ftruncate(fd, 0)
    os.pwrite(fd, msgspec.json.encode(mine) + b"\n", 0)
    return fd


def release(fd: int) -> None:
    """Let go of a lock and take our name out of it: from afar nothing else says that we ended."""
    with suppress(OSError):
        os.ftruncate(fd, 0)
    os.close(fd)


def _flock(fd: int, path: Path, kind: int) -> bool:
    """Whether the kernel (or the file server) gave the lock."""
    try:
        fcntl.flock(fd, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise
        raise InfraFault(
            f"infra.no_locks | {path} | {error.strerror}: its file system has no locks | nothing "
            "was charged to an agent | next: mount it with locks (Lustre: -o flock, NFS: without "
            "nolock), or put results and work folder elsewhere"
        ) from error
    return True


def _elsewhere(fd: int, path: Path) -> bool:
    """Whether a holder on another machine must be taken for alive although the lock is free."""
    found = _read(os.pread(fd, 4096, 0))
    if found is None or found.host == slurm.host() or mounts.locks_reach_all(path.parent):
        return False
    return not (found.job and slurm.is_over(found.job))


def _read(data: bytes) -> Holder | None:
    try:
        return msgspec.json.decode(data, type=Holder)
    except msgspec.MsgspecError:
        return None


def is_held(path: Path) -> bool:
    """Whether somebody holds the lock right now. Leaves the file as it is."""
    try:
        fd = os.open(path, os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        return not _flock(fd, path, fcntl.LOCK_EX) or _elsewhere(fd, path)
    finally:
        os.close(fd)


def last_holder(path: Path) -> Holder | None:
    """Who took the lock last and did not let go of it in good order, or None."""
    return _read(path.read_bytes()) if path.exists() else None


def holder(path: Path) -> str:
    """The same in words, for messages: a process id, on another machine with that one's name."""
    found = last_holder(path)
    return found.words if found else "?"


@contextmanager
def held_by_many(
    path: Path, *, alone: bool, seconds: float, what: str, tick: Callable[[], None]
) -> Iterator[None]:
    """Hold a lock together with others, or ``alone``; wait at most ``seconds``, else InfraFault."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    kind = fcntl.LOCK_EX if alone else fcntl.LOCK_SH
    deadline = time.monotonic() + seconds
    try:
        while not _flock(fd, path, kind):
            tick()
            if time.monotonic() > deadline:
                raise InfraFault(
                    f"infra.lock_timeout | {what} | waited {seconds:.0f} s for {path} | next: let "
                    "its holders end, then run the same command again"
                )
            time.sleep(0.05)
        yield
    finally:
        os.close(fd)


@contextmanager
def locked(
    path: Path, *, seconds: float, what: str, tick: Callable[[], None] | None = None
) -> Iterator[None]:
    """Hold the lock for the body; wait for it at most ``seconds``, else raise InfraFault."""
    deadline = time.monotonic() + seconds
    while (fd := try_lock(path)) is None:
        if tick:
            tick()
        if time.monotonic() > deadline:
            raise InfraFault(
                f"infra.lock_timeout | {what} | waited {seconds:.0f} s for {path}, held by "
                f"process {holder(path)} | next: {way_out(path)}"
            )
        time.sleep(0.05)
    try:
        yield
    finally:
        release(fd)


def way_out(path: Path) -> str:
    """What a person can do about a lock that somebody holds."""
    found = last_holder(path)
    again = "then run the same command again"
    if found is None or found.host == slurm.host():
        return f"let it end or stop it, {again}"
    return f"let it end or stop it; if it is gone for certain, delete {path}; {again}"
