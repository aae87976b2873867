"""GPU slots: Snakemake counts GPUs but does not number them, so a block takes a numbered slot.

A slot is a flock that the block's children inherit: an orphan keeps its slot busy, and nothing
has to be cleaned up after a kill. Slots are per machine, not per campaign. In a Slurm job they are
the GPUs that Slurm assigned, by their numbers on the node.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from patchbench.errors import InfraFault
from patchbench.system import locks, slurm
from patchbench.system.locks import held_by_many, holder, try_lock
from patchbench.system.processes import Checks, Guard, wait_until

CLEAN_SECONDS = 30.0
# How often a block looks for a free slot.
TICK_SECONDS = 0.05
LOCK_FOLDER = "PATCHBENCH_LOCKS"


class Device(NamedTuple):
    """One GPU: its number on the node, and its name for processes of ours and the driver."""

    number: str
    visible: str


class Slot(NamedTuple):
    """The GPUs of one block: their numbers on the node with commas between, the descriptors that
    hold their locks, and their names as CUDA_VISIBLE_DEVICES has them."""

    name: str
    fds: tuple[int, ...]
    devices: tuple[str, ...]


def lock_folder() -> Path:
    """Where slots' locks lie: shared by all campaigns of this user on this machine, and by no other
    machine, for the locks are of things that each machine has: GPUs, an engine's images."""
    named = os.environ.get(LOCK_FOLDER)
    folder = Path(named or Path(tempfile.gettempdir()) / f"patchbench-{os.getuid()}")
    on = locks.mount(folder)
    return folder / slurm.host() if on is not None and on.network else folder


@contextmanager
def quiet(alone: bool, exclusive: bool, seconds: float, guard: Checks) -> Iterator[None]:
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


def devices(total: int) -> list[Device]:
    """GPUs to choose from: those that Slurm assigned, or those given in CUDA_VISIBLE_DEVICES, else
    0 to ``total`` - 1. A machine without a GPU has slots too: they keep blocks apart."""
    numbers = slurm.assigned_gpus()
    visible = slurm.listed(os.environ.get("CUDA_VISIBLE_DEVICES", ""))
    visible = visible or numbers or [str(index) for index in range(total)]
    if len(numbers) != len(visible):
        numbers = visible
    return [Device(*pair) for pair in zip(numbers, visible, strict=True)]


def named_outside(slot: Slot, uuid: Callable[[str], str | None]) -> tuple[str, ...]:
    """Names of a slot's GPUs for an engine outside of the job: their UUIDs where Slurm shows the
    job its own GPUs alone and counts them anew. Raises InfraFault if they can't be found out."""
    numbers = tuple(slot.name.split(","))
    if slot.devices == numbers:
        return numbers
    found = [uuid(device) for device in slot.devices]
    if any(name is None for name in found):
        raise InfraFault(
            f"infra.gpu_name | GPU {slot.name} of this node is {','.join(slot.devices)} inside of "
            "the job, and no driver's library tells its UUID | nothing was charged to an agent | "
            "next: pip install nvidia-ml-py (patchbench's extra gpu) where the jobs run"
        )
    return tuple(name for name in found if name is not None)


def node_numbers(
    slot: Slot, minors: Mapping[str, str], exists: Callable[[str], bool]
) -> tuple[str, ...]:
    """Numbers in the names of a slot's device nodes, for an engine that passes nodes through. Those
    are the driver's minor numbers (``minors``, by index and UUID) and need not be its order: a
    container that was given GPUs 3 and 5 of a host calls them 0 and 1. Where they aren't known, or
    have no nodes (``exists``), the slot's own numbers."""
    known = bool(minors) and all(device in minors for device in slot.devices)
    if known and all(exists(minor) for minor in minors.values()):
        return tuple(minors[device] for device in slot.devices)
    return tuple(slot.name.split(","))


@contextmanager
def slot(total: int, needed: int, seconds: float, guard: Checks) -> Iterator[Slot]:
    """Hold ``needed`` of ``total`` GPU slots for the body, all or none. Raises InfraFault if they
    don't come free in time."""
    deadline = time.monotonic() + seconds
    while (held := _take(total, needed)) is None:
        guard.check()
        if time.monotonic() > deadline:
            folder = lock_folder()
            numbers = [device.number for device in devices(total)]
            by = ", ".join(f"gpu{n} by {holder(folder / f'gpu{n}.lock')}" for n in numbers)
            raise InfraFault(
                f"infra.gpu_busy | waited {seconds:.0f} s for {needed} of {total} GPU slot(s) | "
                f"last holders (process ids): {by} | nothing was charged to an agent | "
                "next: run the same command again"
            )
        time.sleep(TICK_SECONDS)
    try:
        names = ",".join(device.number for device in held)
        yield Slot(names, tuple(held.values()), tuple(device.visible for device in held))
    finally:
        _release(held)


def _take(total: int, needed: int) -> dict[Device, int] | None:
    """Locks on so many free slots, by GPU; None, and nothing held, if there are not enough."""
    held: dict[Device, int] = {}
    for device in devices(total):
        if len(held) < needed:
            fd = try_lock(lock_folder() / f"gpu{device.number}.lock", inheritable=True)
            if fd is not None:
                held[device] = fd
    if len(held) == needed:
        return held
    _release(held)
    return None


def _release(held: dict[Device, int]) -> None:
    for fd in held.values():
        os.close(fd)
