"""GPU slots: Snakemake counts GPUs but does not number them, so a block takes a numbered slot.

A slot is a flock that the block's children inherit: an orphan keeps its slot busy, and nothing
has to be cleaned up after a kill. Slots are per machine, not per campaign.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from patchbench.errors import InfraFault
from patchbench.locks import held_by_many, holder, try_lock
from patchbench.processes import Guard, wait_until

CLEAN_SECONDS = 30.0
# How often a block looks for a free slot.
TICK_SECONDS = 0.05
LOCK_FOLDER = "PATCHBENCH_LOCKS"


class Slot(NamedTuple):
    """The GPUs of one block: their indexes as CUDA_VISIBLE_DEVICES has them, and the descriptors
    that hold their locks."""

    name: str
    fds: tuple[int, ...]


def lock_folder() -> Path:
    """Where slots' locks lie: shared by all campaigns of this user on this machine."""
    named = os.environ.get(LOCK_FOLDER)
    return Path(named or Path(tempfile.gettempdir()) / f"patchbench-{os.getuid()}")


@contextmanager
def quiet(alone: bool, exclusive: bool, seconds: float, guard: Guard) -> Iterator[None]:
    """Where the CPU is what is measured (``exclusive``), a block has the machine alone and builds,
    which may run together, wait for it. Elsewhere this does nothing."""
    if not exclusive:
        yield
        return
    path, what = lock_folder() / "quiet.lock", "waiting for a quiet machine"
    with held_by_many(path, alone=alone, seconds=seconds, what=what, tick=guard.check):
        yield


def await_clean(
    gpus: Sequence[str],
    guard: Guard,
    look: Callable[[str], str | None],
    seconds: float = CLEAN_SECONDS,
) -> None:
    """Wait until nobody else is on the GPUs: what ended a moment ago takes a while to give its
    memory back. ``look`` says why a GPU isn't free. Raises InfraFault rather than let anything be
    measured on a GPU that somebody else uses."""
    found: list[str] = []

    def free() -> bool:
        found[:] = filter(None, map(look, gpus))
        return not found

    if not wait_until(free, seconds, guard, tick=0.5):
        raise InfraFault(
            f"infra.gpu_dirty | {'; '.join(found)} | waited {seconds:.0f} s | nothing was charged "
            "to an agent | next: end that, then run the same command again"
        )


def indexes(total: int) -> list[str]:
    """GPU indexes to choose from: those given in CUDA_VISIBLE_DEVICES, else 0 to ``total`` - 1.
    A machine without a GPU has slots too: they keep blocks apart."""
    given = os.environ.get("CUDA_VISIBLE_DEVICES", "")
    listed = [index.strip() for index in given.split(",") if index.strip()]
    return listed or [str(index) for index in range(total)]


@contextmanager
def slot(total: int, needed: int, seconds: float, guard: Guard) -> Iterator[Slot]:
    """Hold ``needed`` of ``total`` GPU slots for the body, all or none. Raises InfraFault if they
    don't come free in time."""
    deadline = time.monotonic() + seconds
    while (held := _take(total, needed)) is None:
        guard.check()
        if time.monotonic() > deadline:
            folder = lock_folder()
            by = ", ".join(f"gpu{i} by {holder(folder / f'gpu{i}.lock')}" for i in indexes(total))
            raise InfraFault(
                f"infra.gpu_busy | waited {seconds:.0f} s for {needed} of {total} GPU slot(s) | "
                f"last holders (process ids): {by} | nothing was charged to an agent | "
                "next: run the same command again"
            )
        time.sleep(TICK_SECONDS)
    try:
        yield Slot(",".join(held), tuple(held.values()))
    finally:
        _release(held)


def _take(total: int, needed: int) -> dict[str, int] | None:
    """Locks on so many free slots, by index; None, and nothing held, if there are not enough."""
    held: dict[str, int] = {}
    for index in indexes(total):
        if len(held) < needed:
            fd = try_lock(lock_folder() / f"gpu{index}.lock", inheritable=True)
            if fd is not None:
                held[index] = fd
    if len(held) == needed:
        return held
    _release(held)
    return None


def _release(held: dict[str, int]) -> None:
    for fd in held.values():
        os.close(fd)
