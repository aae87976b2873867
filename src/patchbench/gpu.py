"""GPU slots: Snakemake counts GPUs but does not number them, so a block takes a numbered slot.

A slot is a flock that the block's children inherit: an orphan keeps its slot busy, and nothing
has to be cleaned up after a kill. Slots are per machine, not per campaign.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from patchbench.errors import InfraFault
from patchbench.locks import holder, try_lock
from patchbench.processes import Guard

LOCK_FOLDER = "PATCHBENCH_LOCKS"


class Slot(NamedTuple):
    """A GPU's index (as text) and the descriptor that holds its lock."""

    name: str
    fd: int


def lock_folder() -> Path:
    """Where slots' locks lie: shared by all campaigns of this user on this machine."""
    named = os.environ.get(LOCK_FOLDER)
    return Path(named or Path(tempfile.gettempdir()) / f"patchbench-{os.getuid()}")


def indexes(slots: int) -> list[str]:
    """GPU indexes to choose from: those given in CUDA_VISIBLE_DEVICES, else 0 to ``slots`` - 1.
    A machine without a GPU has slots too: they keep blocks apart."""
    given = os.environ.get("CUDA_VISIBLE_DEVICES", "")
    listed = [index.strip() for index in given.split(",") if index.strip()]
    return listed or [str(index) for index in range(slots)]


@contextmanager
def slot(slots: int, seconds: float, guard: Guard) -> Iterator[Slot]:
    """Hold one GPU slot for the body. Raises InfraFault if none comes free in time."""
    folder = lock_folder()
    deadline = time.monotonic() + seconds
    while True:
        for index in indexes(slots):
            fd = try_lock(folder / f"gpu{index}.lock", inheritable=True)
            if fd is not None:
                try:
                    yield Slot(index, fd)
                finally:
                    os.close(fd)
                return
        guard.check()
        if time.monotonic() > deadline:
            held = ", ".join(
                f"gpu{i} by process {holder(folder / f'gpu{i}.lock')}" for i in indexes(slots)
            )
            raise InfraFault(
                f"infra.gpu_busy | waited {seconds:.0f} s for one of {slots} GPU slot(s) | held: "
                f"{held} | nothing was charged to an agent | next: run the same command again"
            )
        time.sleep(0.1)
