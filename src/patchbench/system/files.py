"""Files that a reader never sees half written.

Every writer goes through a temporary file, fsync and rename: after a kill or a full disk there is
the old file or the new one.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from patchbench.errors import BadInput, InfraFault, infra_fault
from patchbench.system import slurm
from patchbench.system.pid_space import here, is_gone

T = TypeVar("T")

# Errors of a write that are the disk's: our name for it, and what mends it.
FAULTS = {
    errno.ENOSPC: ("disk_full", "free space"),
    errno.EDQUOT: ("disk_full", "free space"),
    errno.EROFS: ("read_only", "see why (dmesg) and mount it for writing"),
    errno.EACCES: ("not_writable", "check its owner"),
    errno.EEXIST: ("write_failed", "move away what stands where a folder is needed"),
    errno.ENOTDIR: ("write_failed", "move away what stands where a folder is needed"),
}


def disk_fault(path: Path | None, error: OSError) -> InfraFault:
    """Turn an OSError of a write into a message with the disk's figures. ``path`` is the file that
    was written, None if unknown."""
    where = path or Path(tempfile.gettempdir())
    folder = next((p for p in (where, *where.parents) if p.exists()), Path("/"))
    usage = shutil.disk_usage(folder)
    what, step = FAULTS.get(error.errno or 0, ("write_failed", "see what is wrong with the disk"))
    doing = f"writing {path}" if path else "writing, most likely a temporary file"
    space = f"free {usage.free / 2**20:.0f} MiB of {usage.total / 2**20:.0f} MiB on {folder}"
    return infra_fault(f"infra.{what}", doing, str(error.strerror or error), space, step=step)


FULL = (errno.ENOSPC, errno.EDQUOT)
# Errors of a write that say nothing about the writer.
OF_DISKS = (*FULL, errno.EROFS)


@contextmanager
def disk_faults() -> Iterator[None]:
    """Turn errors of a full or read-only disk (most often that of temporary files) into InfraFault;
    let all other errors through."""
    try:
        yield
    except OSError as error:
        if error.errno not in OF_DISKS:
            raise
        named = Path(error.filename) if isinstance(error.filename, str) else None
        raise disk_fault(named, error) from error


# The results folder's own files: the reserve for outcomes, and the lock by which it is known.
RESERVE, LOCK = ".reserve", ".lock"


def give_up_reserve(path: Path, error: OSError) -> bool:
    """On a full disk, delete the reserve (see ``disk.set_aside``) of the results folder that
    ``path`` lies in. Return True if there was one: then the write is worth another try."""
    if error.errno not in FULL:
        return False
    results = next((p for p in path.absolute().parents if (p / LOCK).is_file()), None)
    if results is None:
        return False
    try:
        (results / RESERVE).unlink()
    except OSError:
        return False
    return True


def _with_reserve(path: Path, write: Callable[[], None]) -> None:
    """Write; on a full disk once more after giving up the reserve. Raises InfraFault."""
    try:
        write()
    except OSError as error:
        if not give_up_reserve(path, error):
            raise disk_fault(path, error) from error
        try:
            write()
        except OSError as second:
            raise disk_fault(path, second) from second


def write_bytes(path: Path, data: bytes) -> None:
    """Write atomically. Raises InfraFault if the file system refuses."""
    _with_reserve(path, lambda: _write(path, data))


def _write(path: Path, data: bytes) -> None:
    part = path.with_name(f".{path.name}.{own_name()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise


def sync(folder: Path) -> None:
    """Flush all files of a folder, and their names, to the disk, so that they survive a power cut.
    (A benchmark's own processes don't sync their files.) Raises InfraFault."""
    for path in (*sorted(p for p in folder.iterdir() if p.is_file()), folder):
        try:
            fd = os.open(path, os.O_RDONLY)
            try:
                os.fsync(fd)
            finally:
                os.close(fd)
        except OSError as error:
            raise disk_fault(path, error) from error


def write_json(path: Path, record: Any) -> None:
    """Write a struct or plain value as indented JSON, atomically. Raises InfraFault."""
    text = msgspec.json.format(msgspec.json.encode(record), indent=1)
    write_bytes(path, text + b"\n")


def read_json(path: Path, type_: type[T]) -> T:
    """Read and type-check a JSON file. Raises BadInput that names the file and the field."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=type_)
    except FileNotFoundError as error:
        raise BadInput(f"{path}: no such file") from error
    except msgspec.MsgspecError as error:
        raise BadInput(f"{path}: {error} | next: delete the file and run again") from error


def append_line(path: Path, line: bytes) -> None:
    """Append one line (a journal's entry) in one write and fsync it. A torn last line is closed
    first, so that it can't swallow this one. Writers take a lock: over NFS, appends of two machines
    at once would overwrite each other. Raises InfraFault."""
    _with_reserve(path, lambda: _append(path, line))


def _append(path: Path, line: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        with suppress(OSError):  # on a file system without locks a line may be lost, no launch
            fcntl.flock(fd, fcntl.LOCK_EX)
        size = os.fstat(fd).st_size
        torn = size > 0 and os.pread(fd, 1, size - 1) != b"\n"
        data = b"\n" * torn + line.rstrip(b"\n") + b"\n"
        if os.write(fd, data) != len(data):
            raise OSError(errno.ENOSPC, "only a part of the line could be written")
        os.fsync(fd)
    finally:
        os.close(fd)


def read_lines(path: Path, type_: type[T]) -> list[T]:
    """Return the records of a file with one JSON record per line, oldest first; none if there is no
    file. A line cut short by a kill is skipped."""
    records = []
    for line in path.read_bytes().splitlines() if path.is_file() else ():
        with suppress(msgspec.MsgspecError):
            records.append(msgspec.json.decode(line, type=type_))
    return records


def digest(value: Any, length: int = 64) -> str:
    """Return the sha256 of a value's canonical JSON (sorted keys), or of bytes as they are."""
    if not isinstance(value, bytes):
        value = json.dumps(
            msgspec.to_builtins(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False
        ).encode()
    return hashlib.sha256(value).hexdigest()[:length]


TEMPORARY = "pb-tmp-"


def own_name() -> str:
    """Return a name of this process that is unique among machines and namespaces that share a
    folder."""
    return f"{slurm.host()}.{here().mark}.{os.getpid()}"


def temporary_prefix() -> str:
    """Return the prefix of this process's temporary folders. It names the owner, so that folders of
    killed processes can be found."""
    return f"{TEMPORARY}{os.getpid()}-{here().mark}-{slurm.host()}-"


def remove_dead_temporaries() -> list[str]:
    """Remove temporary folders of this user's and machine's dead processes; return them. Folders of
    other machines and namespaces in a shared place stay, links too."""
    name = re.compile(rf"{TEMPORARY}(\d+)-(\w+)-{re.escape(slurm.host())}-\w+")
    gone = []
    for folder in Path(tempfile.gettempdir()).glob(f"{TEMPORARY}*"):
        owner = name.fullmatch(folder.name)
        if owner is None or not is_gone(owner[1], owner[2]):
            continue
        with suppress(OSError):  # another run may sweep at the same time
            found = folder.lstat()
            if found.st_uid == os.getuid() and stat.S_ISDIR(found.st_mode):
                shutil.rmtree(folder, ignore_errors=True)
                gone.append(str(folder))
    return gone


def remove_dead_parts(candidates: Iterable[Path]) -> list[str]:
    """Remove half-written files and folders (``.NAME.HOST.SPACE.PID.part``) of this user's and
    machine's dead processes; return them."""
    pattern = re.compile(rf"\..+\.{re.escape(slurm.host())}\.(\w+)\.(\d+)\.part")
    gone = []
    for path in candidates:
        part = pattern.fullmatch(path.name)
        if part is None or not is_gone(part[2], part[1]):
            continue
        with suppress(OSError):
            found = path.lstat()
            if found.st_uid != os.getuid():
                continue
            shutil.rmtree(path) if stat.S_ISDIR(found.st_mode) else path.unlink()
            gone.append(str(path))
    return gone


@contextmanager
def scratch_folder(beside: Path) -> Iterator[Path]:
    """Make a folder next to ``beside`` (same file system, so that it can be renamed onto it) for
    the body. Raises InfraFault if the disk is full or read-only."""
    folder = beside.with_name(f".{beside.name}.{own_name()}.part")
    shutil.rmtree(folder, ignore_errors=True)
    try:
        folder.mkdir(parents=True)
        yield folder
    except OSError as error:
        if error.errno in OF_DISKS:
            raise disk_fault(folder, error) from error
        raise
    finally:
        shutil.rmtree(folder, ignore_errors=True)
