"""The GPU slot of a block. An interrupted block goes on at the slot of its finished launches.

Arms are compared within one block on one GPU: on another one its finished launches would have to be
made again, which costs more than a wait.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime

from patchbench.benchmark import resume
from patchbench.benchmark.context import BlockContext
from patchbench.benchmark.provenance import provenance
from patchbench.errors import InfraFault
from patchbench.ledger import progress
from patchbench.records import Run
from patchbench.system import gpu_slots
from patchbench.system.gpu_slots import Slot
from patchbench.system.processes import Checks


@contextmanager
def block_slot(
    context: BlockContext, finished: Collection[Run], guard: Checks
) -> Iterator[tuple[Slot, bool]]:
    """Hold a GPU slot for the body: that of the finished launches if it comes free within
    ``limits.gpu_return`` seconds, else any. Yields it, and True if the finished launches count
    there. Raises InfraFault if no slot comes free in time, Stopped."""
    with ExitStack() as stack:
        slot, why = _earlier(context, finished, guard, stack)
        if slot is None:
            slot = _take(context, guard, stack, context.task.protocol.limits.gpu_wait)
        context.write_event("slot_taken", detail=slot.name)
        here = provenance(context, slot)
        changes = dict.fromkeys(c for run in finished for c in resume.place_changes(run, here))
        if changes:
            made_again(context, "; ".join([*changes, *why]))
        yield slot, not changes


def made_again(context: BlockContext, reason: str) -> None:
    """Journal and say that finished launches are made again."""
    context.write_event("launches_superseded", detail=reason)
    _tell(context, f"finished launches are made again: {reason}")


def _earlier(
    context: BlockContext, finished: Collection[Run], guard: Checks, stack: ExitStack
) -> tuple[Slot | None, list[str]]:
    """Take the slot of the finished launches. Returns it, or None and the reasons."""
    name = resume.earlier_slot(finished, provenance(context, None))
    if not name:
        return None, []
    among = gpu_slots.choice(context.slots, name)
    if len(among) < _needed(context):
        known = ", ".join(device.number for device in gpu_slots.devices(context.slots))
        return None, [f"this job may use GPU {known} only"]
    try:
        return _take(context, guard, stack, 0.0, name), []
    except InfraFault:
        seconds = context.task.protocol.limits.gpu_return
    by = gpu_slots.holders(among)
    _tell(context, f"waits up to {seconds:.0f} s for GPU {name}, on which it was begun ({by})")
    try:
        return _take(context, guard, stack, seconds, name), []
    except InfraFault:
        return None, [f"waited {seconds:.0f} s ({gpu_slots.holders(among)})"]


def _take(
    context: BlockContext, guard: Checks, stack: ExitStack, seconds: float, only: str = ""
) -> Slot:
    needed = _needed(context)
    return stack.enter_context(gpu_slots.slot(context.slots, needed, seconds, guard, only=only))


def _needed(context: BlockContext) -> int:
    assert context.task.workload is not None
    return max(1, context.task.workload.gpus)


def _tell(context: BlockContext, text: str) -> None:
    progress.say(context.results, f"{datetime.now(UTC):%H:%M} {context.name}: {text}")
