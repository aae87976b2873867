"""GPU slots: Snakemake counts GPUs but does not number them, so a block takes a numbered slot.

A slot is a flock that the block's children inherit: an orphan keeps its slot busy, and a kill
leaves nothing to clean up. Slots belong to the machine, not to a campaign. In a Slurm job they are
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

from patchbench.errors import infra_fault
from patchbench.system import locks, slurm
from patchbench.system.locks import holder, shared_lock, try_lock
from patchbench.system.processes import Checks, Guard, wait_until

CLEAN_SECONDS = 30.0
# Pause between two attempts to take a slot.
TICK_SECONDS = 0.05
LOCK_FOLDER = "PATCHBENCH_LOCKS"


class Device(NamedTuple):
    """One GPU: its number on the node, and its name for our processes and the driver."""

    number: str
    visible: str


class Slot(NamedTuple):
    """The GPUs of one block: their numbers on the node (joined by commas), the descriptors that
    hold their locks, and their names as in CUDA_VISIBLE_DEVICES."""

    name: str
    fds: tuple[int, ...]
    devices: tuple[str, ...]


def lock_folder() -> Path:
    """Return the folder of locks on this machine's own things (GPUs, an engine's images), shared by
    all campaigns of this user on this machine. Raises BadInput if another user made it."""
    named = os.environ.get(LOCK_FOLDER)
    own = Path(tempfile.gettempdir()) / f"patchbench-{os.getuid()}"
    folder = Path(named) if named else locks.own_folder(own)
    on = locks.mount(folder)
    return folder / slurm.host() if on is not None and on.network else folder


@contextmanager
def quiet(alone: bool, exclusive: bool, seconds: float, guard: Checks) -> Iterator[None]:
    """If the CPU is measured (``exclusive``), hold the machine for the body: a block ``alone``,
    builds together. Otherwise do nothing."""
    if not exclusive:
        yield
        return
    path, what = lock_folder() / "quiet.lock", "waiting for a quiet machine"
    with shared_lock(path, alone=alone, seconds=seconds, what=what, tick=guard.check):
        yield


def await_clean(
    gpus: Sequence[str],
    guard: Guard,
    look: Callable[[str], str | None],
    seconds: float = CLEAN_SECONDS,
) -> None:
    """Wait until the GPUs are free: a process that just ended takes a while to give its memory
    back. ``look`` returns why a GPU isn't free, or None. Raises InfraFault after ``seconds``."""
    reasons: list[str] = []

    def free() -> bool:
        reasons[:] = filter(None, map(look, gpus))
        return not reasons

    if not wait_until(free, seconds, guard, tick=0.5):
        waited = f"waited {seconds:.0f} s"
        raise infra_fault("infra.gpu_dirty", "; ".join(reasons), waited, step="end that")


def devices(total: int) -> list[Device]:
    """Return the GPUs to choose from: those that Slurm assigned, or those in CUDA_VISIBLE_DEVICES,
    else 0 to ``total`` - 1. A machine without a GPU has slots too: they keep blocks apart."""
    numbers = slurm.assigned_gpus()
    visible = slurm.listed(os.environ.get("CUDA_VISIBLE_DEVICES", ""))
    visible = visible or numbers or [str(index) for index in range(total)]
    if len(numbers) != len(visible):
        numbers = visible
    return [Device(*pair) for pair in zip(numbers, visible, strict=True)]


def named_outside(slot: Slot, uuid: Callable[[str], str | None]) -> tuple[str, ...]:
    """Return the names of a slot's GPUs for an engine outside of the job: UUIDs if Slurm shows the
    job only its own GPUs and counts them from 0. Raises InfraFault if these are unknown."""
    numbers = tuple(slot.name.split(","))
    if slot.devices == numbers:
        return numbers
    names = [uuid(device) for device in slot.devices]
    if None in names:
        raise infra_fault(
            "infra.gpu_name",
            f"GPU {slot.name} of this node is {','.join(slot.devices)} inside of the job, and its "
            "UUID is unknown without the driver's library",
            step="pip install nvidia-ml-py on the node",
        )
    return tuple(name for name in names if name is not None)


def node_numbers(
    slot: Slot, minors: Mapping[str, str], exists: Callable[[str], bool]
) -> tuple[str, ...]:
    """Return the numbers of a slot's device nodes (N of /dev/nvidiaN), for an engine that passes
    nodes through. They are the driver's minor numbers (``minors``, by index and UUID), which need
    not be in its order: a container with GPUs 3 and 5 of a host calls them 0 and 1. If they are
    unknown or a node does not exist (``exists``), they are the slot's own numbers."""
    known = bool(minors) and all(device in minors for device in slot.devices)
    if known and all(exists(minor) for minor in minors.values()):
        return tuple(minors[device] for device in slot.devices)
    return tuple(slot.name.split(","))


@contextmanager
def slot(
    total: int, needed: int, seconds: float, guard: Checks, *, only: str = ""
) -> Iterator[Slot]:
    """Hold ``needed`` of ``total`` GPU slots for the body, all or none; ``only`` those of a slot's
    name, if given. Raises InfraFault if they don't come free within ``seconds``."""
    deadline = time.monotonic() + seconds
    while (fds := _take(choice(total, only), needed)) is None:
        guard.check()
        if time.monotonic() > deadline:
            waited = f"waited {seconds:.0f} s for {needed} of {total} GPU slot(s)"
            by = holders(choice(total, only))
            raise infra_fault("infra.gpu_busy", waited, f"last holders (process ids): {by}")
        time.sleep(TICK_SECONDS)
    try:
        names = ",".join(device.number for device in fds)
        yield Slot(names, tuple(fds.values()), tuple(device.visible for device in fds))
    finally:
        _release(fds)


def choice(total: int, name: str = "") -> list[Device]:
    """Return the GPUs to choose from; of a slot's name its own alone, fewer if it has others."""
    wanted = slurm.listed(name)
    return [device for device in devices(total) if not wanted or device.number in wanted]


def holders(among: Sequence[Device]) -> str:
    """Return the last holder of each GPU's lock, in words."""
    folder = lock_folder()
    return ", ".join(f"gpu{n} by {holder(folder / f'gpu{n}.lock')}" for n, _ in among)


def _take(among: Sequence[Device], needed: int) -> dict[Device, int] | None:
    """Lock ``needed`` free slots; return descriptors by GPU, or None (and hold none) if too few."""
    fds: dict[Device, int] = {}
    for device in among:
        if len(fds) < needed:
            fd = try_lock(lock_folder() / f"gpu{device.number}.lock", inheritable=True)
            if fd is not None:
                fds[device] = fd
    if len(fds) == needed:
        return fds
    _release(fds)
    return None


def _release(fds: dict[Device, int]) -> None:
    for fd in fds.values():
        os.close(fd)
