"""Locks that die with their holder: flock on a file, released by the kernel on any exit.

The file names its holder: process, machine, Slurm job. A holder that ends well removes its name. If
locks may not reach other machines (``Mount.locks_reach_all``), the name of another machine in the
file counts as a living holder unless Slurm says that its job is over: from here its process can't
be seen, and taking a lock from a living holder ruins both measurements.
"""

from __future__ import annotations

import errno
import fcntl
import functools
import os
import stat
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import msgspec
import psutil

from patchbench.errors import BadInput, InfraFault, infra_fault
from patchbench.system import slurm
from patchbench.system.files import disk_fault

# Errors of file systems that know no flock (Lustre without the option, some FUSE ones).
NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL)
TICK_SECONDS = 0.05
# File systems that other machines may see too. (Any that comes through FUSE may be one.)
NETWORK = (
    "nfs", "nfs4", "lustre", "gpfs", "beegfs", "ceph", "cifs", "smb3", "9p", "virtiofs", "afs",
    "glusterfs", "wekafs", "panfs", "pvfs2", "gfs2", "ocfs2",
)  # fmt: skip
FUSE = "fuse"


class Mount(NamedTuple):
    """A mounted file system."""

    place: str
    kind: str
    options: tuple[str, ...]

    @property
    def network(self) -> bool:
        """True if other machines may see these files too."""
        return self.kind in NETWORK or self.kind.partition(".")[0] == FUSE

    @property
    def locks_reach_all(self) -> bool:
        """True if flock surely excludes processes of all machines: always on a local disk; on NFS
        unless the mount keeps locks to itself (``nolock``, ``local_lock``; see nfs(5)); on Lustre
        with ``flock`` (see mount.lustre(8)). Unknown of all others, so False."""
        if not self.network:
            return True
        if self.kind in ("nfs", "nfs4"):
            return not {"nolock", "local_lock=flock", "local_lock=all"} & {*self.options}
        return self.kind == "lustre" and "flock" in self.options


def mount_of(path: str, mounts: Iterable[Mount]) -> Mount | None:
    """Return the mount that an absolute path lies on: the last one with the longest place."""
    around = [m for m in mounts if f"{path}/".startswith(f"{m.place.rstrip('/')}/")]
    return max(reversed(around), key=lambda mount: len(mount.place), default=None)


@functools.lru_cache(maxsize=64)
def mount(path: Path) -> Mount | None:
    """Return the mount that a path lies on, or None if the table of mounts can't be read."""
    try:
        table = psutil.disk_partitions(all=True)
    except OSError:
        return None
    mounts = (Mount(part.mountpoint, part.fstype, tuple(part.opts.split(","))) for part in table)
    return mount_of(os.path.realpath(path), [*mounts])


class Holder(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The holder of a lock. ``job`` is a Slurm job's id."""

    pid: int
    host: str
    job: str = ""

    @property
    def words(self) -> str:
        """The holder in messages: a process id; on another machine also that machine and job."""
        if self.host == slurm.host():
            return str(self.pid)
        return f"{self.pid} on {self.host}" + (f" (Slurm job {self.job})" if self.job else "")


def try_lock(path: Path, *, inheritable: bool = False) -> int | None:
    """Take the lock; return the descriptor that holds it while open, or None if it is held. Raises
    InfraFault if there is no lock and none can be made."""
    fd = _open(path)
    if not _flock(fd, path, fcntl.LOCK_EX) or _has_remote_holder(fd, path):
        os.close(fd)
        return None
    os.set_inheritable(fd, inheritable)
    own = Holder(pid=os.getpid(), host=slurm.host(), job=slurm.job())
    os.ftruncate(fd, 0)
    os.pwrite(fd, msgspec.json.encode(own) + b"\n", 0)
    return fd


def _open(path: Path) -> int:
    """Open a lock's file, which is ours alone: a link would have us write into another file."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK, 0o666)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.EISDIR, errno.ENXIO):
            raise _no_lock(path) from error
        raise disk_fault(path, error) from error
    found = os.fstat(fd)
    if not stat.S_ISREG(found.st_mode) or found.st_nlink > 1:
        os.close(fd)
        raise _no_lock(path)
    return fd


def _no_lock(path: Path) -> InfraFault:
    fact = "another thing stands in the place of a lock's file"
    return infra_fault("infra.no_locks", str(path), fact, step="move it away")


def own_folder(path: Path) -> Path:
    """Return a folder of this user's alone, made unless it is there, in a place that others may
    write to. Raises BadInput if another's stands there, InfraFault if it can't be made."""
    try:
        with suppress(FileExistsError):
            path.mkdir(mode=0o700)
        found = path.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
            raise BadInput(
                f"{path}: belongs to user {found.st_uid}, or is no folder, so no lock there can be "
                "trusted | next: have it removed, or name a folder of yours: PATCHBENCH_LOCKS=..."
            )
        if found.st_mode & 0o022:
            path.chmod(0o700)
    except OSError as error:
        raise disk_fault(path, error) from error
    return path


def release(fd: int) -> None:
    """Release a lock and remove the holder's name, by which other machines see that it ended."""
    with suppress(OSError):
        os.ftruncate(fd, 0)
    os.close(fd)


def _flock(fd: int, path: Path, kind: int) -> bool:
    """Return True if the kernel (or the file server) gave the lock."""
    try:
        fcntl.flock(fd, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise
        raise infra_fault(
            "infra.no_locks", str(path), f"{error.strerror}: its file system has no locks",
            step="mount it with locks (Lustre: -o flock, NFS: without nolock), or put results and "
            "work folder elsewhere",
        ) from error  # fmt: skip
    return True


def _has_remote_holder(fd: int, path: Path) -> bool:
    """Return True if a holder on another machine must be presumed alive although flock succeeds."""
    other = _read(os.pread(fd, 4096, 0))
    if other is None or other.host == slurm.host():
        return False
    on = mount(path.parent)
    if on is None or on.locks_reach_all:
        return False
    return not (other.job and slurm.is_over(other.job))


def _read(data: bytes) -> Holder | None:
    try:
        return msgspec.json.decode(data, type=Holder)
    except msgspec.MsgspecError:
        return None


def is_held(path: Path) -> bool:
    """Return True if the lock is held right now. Leaves the file unchanged."""
    try:
        fd = os.open(path, os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        return not _flock(fd, path, fcntl.LOCK_EX) or _has_remote_holder(fd, path)
    finally:
        os.close(fd)


def last_holder(path: Path) -> Holder | None:
    """Return the last holder, if it did not release the lock in good order, or None."""
    return _read(path.read_bytes()) if path.exists() else None


def holder(path: Path) -> str:
    """Return the last holder in words, or "?"."""
    last = last_holder(path)
    return last.words if last else "?"


@contextmanager
def shared_lock(
    path: Path, *, alone: bool, seconds: float, what: str, tick: Callable[[], None]
) -> Iterator[None]:
    """Hold a lock for the body, shared with others or ``alone``. ``tick`` is called while waiting
    and may raise. Raises InfraFault if the lock can't be had within ``seconds``. (Each holder waits
    in a queue of its own, so that sharers who follow each other keep none waiting for ever.)"""
    deadline = time.monotonic() + seconds
    queue = path.with_name(f"{path.name}.queue")
    fds: list[int] = []
    try:
        for file, kind in (
            (queue, fcntl.LOCK_EX),
            (path, fcntl.LOCK_EX if alone else fcntl.LOCK_SH),
        ):
            fds.append(fd := _open(file))
            while not _flock(fd, file, kind):
                tick()
                if time.monotonic() > deadline:
                    place = f"waited {seconds:.0f} s for {path}"
                    raise infra_fault("infra.lock_timeout", what, place, step="let its holders end")
                time.sleep(TICK_SECONDS)
        os.close(fds.pop(0))
        yield
    finally:
        for fd in fds:
            os.close(fd)


@contextmanager
def locked(
    path: Path, *, seconds: float, what: str, tick: Callable[[], None] = lambda: None
) -> Iterator[None]:
    """Hold the lock for the body. ``tick`` is called while waiting and may raise. Raises InfraFault
    if the lock can't be had within ``seconds``."""
    deadline = time.monotonic() + seconds
    while (fd := try_lock(path)) is None:
        tick()
        if time.monotonic() > deadline:
            place = f"waited {seconds:.0f} s for {path}, held by process {holder(path)}"
            raise infra_fault("infra.lock_timeout", what, place, step=way_out(path))
        time.sleep(TICK_SECONDS)
    try:
        yield
    finally:
        release(fd)


def way_out(path: Path) -> str:
    """Return the next step for a person who meets a lock."""
    last = last_holder(path)
    if last is None or last.host == slurm.host():
        return "let it end or stop it"
    return f"let it end or stop it (if it is gone for certain, delete {path})"
