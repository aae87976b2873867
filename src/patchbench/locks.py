"""Locks that die with their holder: flock on a file, released by the kernel on any exit."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from patchbench.errors import InfraFault


def try_lock(path: Path, *, inheritable: bool = False) -> int | None:
    """Take the lock or return None at once. The returned descriptor holds it while open."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        return None
    os.set_inheritable(fd, inheritable)
    os.ftruncate(fd, 0)
    os.write(fd, f"{os.getpid()}\n".encode())
    return fd


def is_held(path: Path) -> bool:
    """Whether somebody holds the lock right now."""
    fd = try_lock(path)
    if fd is None:
        return True
    os.close(fd)
    return False


def holder(path: Path) -> str:
    """The process id that the lock's last holder wrote into it, for messages."""
    return path.read_text().strip() if path.exists() else "?"


@contextmanager
def held_by_many(
    path: Path, *, alone: bool, seconds: float, what: str, tick: Callable[[], None]
) -> Iterator[None]:
    """Hold a lock together with others, or ``alone``; wait at most ``seconds``, else InfraFault."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    kind = (fcntl.LOCK_EX if alone else fcntl.LOCK_SH) | fcntl.LOCK_NB
    deadline = time.monotonic() + seconds
    try:
        while True:
            try:
                fcntl.flock(fd, kind)
                break
            except BlockingIOError:
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
                f"process {holder(path)} | next: let it end, then run the same command again"
            )
        time.sleep(0.05)
    try:
        yield
    finally:
        os.close(fd)
