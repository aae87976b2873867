"""Writing and reading files so that a reader never sees half of one.

Every writer goes through a temporary file, fsync and rename: after a kill or a full disk
there is the old file or the new one, nothing between.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from patchbench.errors import BadInput, InfraFault
from patchbench.system import slurm

T = TypeVar("T")


# What a write fails with for the disk's sake: how we call it, and what mends it.
FAULTS = {
    errno.ENOSPC: ("disk_full", "free space"),
    errno.EDQUOT: ("disk_full", "free space"),
    errno.EROFS: ("read_only", "see why (dmesg) and mount it for writing"),
    errno.EACCES: ("not_writable", "see whose it is"),
}


def disk_fault(path: Path | None, error: OSError) -> InfraFault:
    """Turn an OSError of a write into a sentence with the numbers a person needs. ``path`` is what
    was written; None if nobody knows."""
    where = path or Path(tempfile.gettempdir())
    folder = next((p for p in (where, *where.parents) if p.exists()), Path("/"))
    usage = shutil.disk_usage(folder)
    what, step = FAULTS.get(error.errno or 0, ("write_failed", "see what is wrong with the disk"))
    doing = f"writing {path}" if path else "writing, most likely a temporary file"
    return InfraFault(
        f"infra.{what} | {doing} | {error.strerror or error} | "
        f"free {usage.free / 2**20:.0f} MiB of {usage.total / 2**20:.0f} MiB on {folder} | "
        f"nothing was charged to an agent | next: {step}, then run the same command again"
    )


# No room: on the disk, or for this user.
FULL = (errno.ENOSPC, errno.EDQUOT)
# What a write can fail with although nothing is wrong with who writes.
OF_DISKS = (*FULL, errno.EROFS)


@contextmanager
def disk_faults() -> Iterator[None]:
    """Turn what a full or read-only disk throws, wherever it is (most often that of temporary
    files), into InfraFault; every other error passes through."""
    try:
        yield
    except OSError as error:
        if error.errno not in OF_DISKS:
            raise
        named = Path(error.filename) if isinstance(error.filename, str) else None
        raise disk_fault(named, error) from error


RESERVE = ".reserve"


def give_up_reserve(path: Path, error: OSError) -> bool:
    """On a full disk, free the space that was set aside above ``path`` for what must be written
    down (see disk.set_aside). Whether there was any: then the write is worth another try."""
    if error.errno not in FULL:
        return False
    for folder in path.absolute().parents:
        with suppress(OSError):
            (folder / RESERVE).unlink()
            return True
    return False


def write_bytes(path: Path, data: bytes) -> None:
    """Write atomically. Raises InfraFault when the file system refuses."""
    try:
        _write(path, data)
    except OSError as error:
        if not give_up_reserve(path, error):
            raise disk_fault(path, error) from error
        try:
            _write(path, data)
        except OSError as again:
            raise disk_fault(path, again) from again


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
    """Have all files of a folder, and their names, reach the disk: after a power cut they are
    there. (What a benchmark's own processes write, nobody else syncs.) Raises InfraFault."""
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
    """Write a struct or plain value as indented JSON, atomically."""
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
    """Append one line in one write and fsync it: the shape of a journal entry. A torn last line
    is closed first, so that it can't swallow this one. Writers wait for each other: over NFS two
    machines that append at once would else write over each other's lines."""
    try:
        _append(path, line)
    except OSError as error:
        if not give_up_reserve(path, error):
            raise disk_fault(path, error) from error
        try:
            _append(path, line)
        except OSError as again:
            raise disk_fault(path, again) from again


def _append(path: Path, line: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        with suppress(OSError):  # without locks there is a line to lose, not a launch
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
    """All whole records of a file with one as JSON per line, oldest first; none if there is no
    file. A line cut short by a kill is passed over."""
    found = []
    for line in path.read_bytes().splitlines() if path.is_file() else ():
        with suppress(msgspec.MsgspecError):
            found.append(msgspec.json.decode(line, type=type_))
    return found


def digest(value: Any, length: int = 64) -> str:
    """sha256 of a value's canonical JSON (sorted keys), or of bytes as they are."""
    if not isinstance(value, bytes):
        value = json.dumps(
            msgspec.to_builtins(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False
        ).encode()
    return hashlib.sha256(value).hexdigest()[:length]


TEMPORARY = "patchbench-tmp-"


def own_name() -> str:
    """This process among all that may see the same folder: process ids are equal on two machines
    sooner or later."""
    return f"{slurm.host()}.{os.getpid()}"


def temporary_prefix() -> str:
    """What names of our temporary folders begin with: it says whose they are, so that those of
    killed processes can be found. The process id comes first: so it did when there was no host in
    these names, and a run of an older version on this machine must not take ours for dead."""
    return f"{TEMPORARY}{os.getpid()}-{slurm.host()}-"


def remove_dead_temporaries() -> list[str]:
    """Remove temporary folders of this machine's processes that are gone, and what such a process
    has claimed by a link (see scheduler.claim); returns them. Another machine's, where they lie in
    a folder that both see, are left to that machine."""
    gone = []
    for folder in Path(tempfile.gettempdir()).glob(f"{TEMPORARY}*-{slurm.host()}-*"):
        pid, _, rest = folder.name.removeprefix(TEMPORARY).partition("-")
        mine = rest.rpartition("-")[0] == slurm.host()
        if mine and pid.isdigit() and not Path("/proc", pid).exists():
            if folder.is_symlink():
                if (claimed := folder.readlink()).parent == folder.parent:
                    shutil.rmtree(claimed, ignore_errors=True)
                folder.unlink(missing_ok=True)
            shutil.rmtree(folder, ignore_errors=True)
            gone.append(str(folder))
    return gone


def remove_dead_parts(candidates: Iterable[Path]) -> list[str]:
    """Remove what processes of this machine were writing (``.NAME.HOST.PID.part``, files and
    folders) when they were killed; returns it."""
    mine = re.compile(rf"\..+\.{re.escape(slurm.host())}\.(\d+)\.part")
    gone = []
    for path in candidates:
        found = mine.fullmatch(path.name)
        if found is None or Path("/proc", found[1]).exists():
            continue
        with suppress(OSError):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
            gone.append(str(path))
    return gone


@contextmanager
def scratch_folder(beside: Path) -> Iterator[Path]:
    """A fresh folder next to ``beside`` (same file system, so it can be renamed onto it)."""
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
