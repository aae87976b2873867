"""One block: every arm of a task launched once, in balanced order, on one GPU slot, and then the
answers scored.

The block is the unit of pairing and of resuming: finished launches stand in the journal, so an
interrupted block goes on at its next arm if nothing that it depends on has changed.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from patchbench.benchmark import arm_launch, relaunch, resume, scoring, sealing, superseded
from patchbench.benchmark.block_slot import block_slot, made_again
from patchbench.benchmark.context import BlockContext
from patchbench.benchmark.order import block_order
from patchbench.errors import BadInput, InfraFault
from patchbench.ledger import journal
from patchbench.ledger.journal import Event
from patchbench.ledger.machine_faults import Waiting
from patchbench.records import AA, BASELINE, Block, Built, Run, Task
from patchbench.system import disk, gpu_slots, slurm
from patchbench.system.files import read_json
from patchbench.system.locks import locked


def measure(context: BlockContext) -> Block:
    """Launch the arms of the block that have no valid launch yet. Raises InfraFault or Stopped;
    finished launches are kept."""
    task = context.task
    if task.exclusion is not None:
        return _record(context, (), "excluded")
    wait = task.protocol.limits.gpu_wait
    turn = Waiting(context.guard, context.results)
    # Held until the last write, so that an orphan of a killed run can't work on the same block.
    with locked(
        context.journal.with_suffix(".lock"), seconds=wait, what=context.name, tick=turn.check
    ):
        place = context.results, task.commit, context.block, context.digest
        superseded.take_back(*place)
        finished = resume.finished_launches(*place)
        valid = {
            arm: run
            for arm, (event, run) in finished.items()
            if not _is_outdated(context, run) and not _is_damaged(context, event, run)
        }
        measured = any(run.status == "launched" for run in valid.values())
        arms = block_order(list(context.images), context.block, task.protocol)
        order = _begin(context, arms, finished.keys(), measured=measured)
        due = [arm for arm in order if arm not in valid and context.image(arm).status == "ok"]
        if not due and not scoring.unscored(context, order):
            _launch_rest(context, order, valid.keys(), None)
        else:
            relaunch.wait_after_fault(context)
            with context.runtime.using(task, context.guard):
                if slurm.images_per_node():
                    _ensure_images(context, order)  # before the machine has to be quiet
                with (
                    gpu_slots.quiet(True, task.protocol.exclusive, wait, turn),
                    # A block that lacks only scores gets them on any slot.
                    block_slot(context, valid.values() if due else (), turn) as (slot, same),
                ):
                    keep = valid.keys() if same else ()
                    if due and context.is_judged and not sealing.seal(context):
                        if keep:
                            made_again(context, "the block's secret is lost")
                        keep = ()
                    _launch_rest(context, order, keep, slot)
                    if arms := scoring.unscored(context, order):
                        scoring.score_answers(context, arms, slot)
        sealing.open_seal(context)
    return _record(context, tuple(order), "done")


def skip(task: Task, block: int, digest: str, results: Path) -> Block:
    """Return the record of an extra block that no arm needs, and journal that it has no arms if it
    was begun before."""
    file = journal.path(results, task.commit, block)
    if journal.begun(journal.read(file), digest):
        event = Event(
            event="block_begun", at=journal.now(), commit=task.commit, block=block, digest=digest
        )
        journal.write(file, event)
    return Block(
        commit=task.commit, block=block, digest=digest, order=(), runs=(), status="not_needed"
    )


def _is_outdated(context: BlockContext, run: Run) -> bool:
    """Return True if a record without a launch gives a reason that no longer holds, for example an
    image that was missing and has been pushed since, or if it turned out that the machine had
    failed."""
    if run.status != "passed_on":
        return relaunch.was_the_machines(context, run.arm)
    image = context.image(run.arm)
    return image.status == "ok" or run.upstream is None or image.cause != run.upstream.cause


def _is_damaged(context: BlockContext, event: Event, run: Run) -> bool:
    """Return True, and say so, if the judge's records of a finished launch were damaged since."""
    if not context.is_judged:
        return False
    reason = resume.damage(context.task, run, event, context.folder / run.arm)
    if reason:
        made_again(context, reason)
    return bool(reason)


def _begin(
    context: BlockContext, order: list[str], finished: Collection[str], *, measured: bool
) -> list[str]:
    """Return the block's order and journal it. A measured A/A launch stays in the block. If all
    arms are finished and one was ``measured``, no A/A launch is added: it would lie days after the
    baseline's first launch."""
    begun = journal.begun(context.events(), context.digest)
    arms = [arm for arm in order if arm != AA]
    if AA in finished:
        order = [*arms, AA]
    elif measured and set(arms) <= set(finished) and AA not in (begun or ()):
        order = arms
    if order != begun:
        context.write_event("block_begun", detail=" ".join(order))
    return order


def _launch_rest(
    context: BlockContext, order: list[str], valid: Collection[str], slot: gpu_slots.Slot | None
) -> None:
    """Launch the arms without a valid launch. A fault of the machine in one arm does not keep the
    others from being measured; it is raised at the end."""
    resume.set_aside(context.results, context.task.commit, context.block, valid)
    todo = [arm for arm in order if arm not in valid]
    if slot is not None:
        places = [context.results, *context.runtime.disks()]
        disk.check(places, context.task.disk, context.name)
        if leftovers := context.runtime.clean():
            context.write_event("leftovers_ended", detail="; ".join(leftovers))
        _ensure_images(context, todo)
    faults = []
    for arm in todo:
        try:
            arm_launch.launch_arm(context, arm, order.index(arm), slot)
        except InfraFault as fault:
            faults.append(fault)
            if arm == BASELINE:
                break
    if faults:
        raise faults[0]


def _ensure_images(context: BlockContext, arms: list[str]) -> None:
    """Make the images that this machine lacks, the baseline's included."""
    for arm in {BASELINE: None} | dict.fromkeys(arms):
        image = context.image(arm)
        if image.status == "ok" and not context.runtime.exists(image.image):
            context.rebuild(image)


def _record(context: BlockContext, order: tuple[str, ...], status: str) -> Block:
    return Block(
        commit=context.task.commit,
        block=context.block,
        digest=context.digest,
        order=order,
        runs=tuple(str(context.folder / arm) for arm in order),
        status=status,  # type: ignore[arg-type]
    )


def load_images(folder: Path, arms: list[str]) -> dict[str, Built]:
    """Return the image records of all arms, the baseline first. Raises BadInput if one is
    missing."""
    missing = [arm for arm in arms if not (folder / f"{arm}.json").is_file()]
    if missing:
        raise BadInput(f"{folder}: no image record of {', '.join(missing)}")
    return {arm: read_json(folder / f"{arm}.json", Built) for arm in arms}
