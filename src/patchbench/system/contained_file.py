"""Files of a folder that others filled: no link out of it, no pipe and no device is ever opened."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO

OPEN = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
WALK = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
KINDS = (
    (stat.S_ISDIR, errno.EISDIR, "a folder, no file"),
    (stat.S_ISFIFO, errno.EINVAL, "a named pipe, no file"),
    (stat.S_ISSOCK, errno.EINVAL, "a socket, no file"),
    (stat.S_ISCHR, errno.EINVAL, "a device, no file"),
    (stat.S_ISBLK, errno.EINVAL, "a device, no file"),
)


def open_contained(path: Path, root: Path) -> BinaryIO:
    """Open a plain file of the folder ``root`` (or ``root`` itself) for reading. Links are followed
    only if they stay in it. Raises OSError, for a link out of the folder and for what is no plain
    file too."""
    top = os.path.realpath(root)
    real = os.path.realpath(path)
    if real != top and not real.startswith(f"{top.rstrip('/')}/"):
        raise OSError(errno.EXDEV, f"a link that leads out of {root}", str(path))
    # Opened step by step without links: what was resolved can't be exchanged meanwhile.
    folder, name = os.path.split(real)
    fd = _folder(folder, top if real != top else folder)
    try:
        _check(os.stat(name, dir_fd=fd, follow_symlinks=False).st_mode, path)
        file = os.open(name, OPEN, dir_fd=fd)
    finally:
        os.close(fd)
    try:
        _check(os.fstat(file).st_mode, path)
    except OSError:
        os.close(file)
        raise
    return os.fdopen(file, "rb")


def is_contained(path: Path, root: Path) -> bool:
    """Return True if ``open_contained`` opens the file."""
    try:
        open_contained(path, root).close()
    except OSError:
        return False
    return True


def _folder(folder: str, top: str) -> int:
    """Return a descriptor of a folder at or below ``top``, reached without a link below it."""
    fd = os.open(top, WALK)
    for part in filter(None, folder[len(top) :].split("/")):
        below = os.open(part, WALK, dir_fd=fd)
        os.close(fd)
        fd = below
    return fd


def _check(mode: int, path: Path) -> None:
    for is_kind, number, words in KINDS:
        if is_kind(mode):
            raise OSError(number, words, str(path))
