"""Launch of one arm within its block: graded, repeated if chance spoilt it, and recorded."""

from __future__ import annotations

import functools
import shutil
import time
from pathlib import Path

import msgspec

from patchbench.benchmark import launch, outside, relaunch, resume
from patchbench.benchmark.context import BlockContext
from patchbench.benchmark.provenance import gpu_activity, processor_time, provenance
from patchbench.grading.launch import grade_launch
from patchbench.grading.run_folder import LOG_SUFFIXES, RUN_RECORD
from patchbench.ledger import journal
from patchbench.patches.early_ends import earlier_failure
from patchbench.records import GradedRun, Outcome, Phase, Run
from patchbench.system import gpu_driver, gpu_slots, raw_logs, telemetry
from patchbench.system.files import sync, write_json


def launch_arm(context: BlockContext, arm: str, position: int, slot: gpu_slots.Slot | None) -> None:
    """Launch an arm and write its record and the journal's events. If its image failed, or if it
    failed in enough other blocks, the record says so without a launch. A launch that chance may
    have spoilt is repeated at once. Raises InfraFault if the machine spoilt it or it was killed
    again from outside, Stopped."""
    while not _attempt(context, arm, position, slot):
        pass


def _attempt(context: BlockContext, arm: str, position: int, slot: gpu_slots.Slot | None) -> bool:
    """Launch an arm once. Returns False if the launch has to be repeated."""
    clock, since = time.monotonic(), outside.uptime()
    folder = context.folder / arm
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    context.write_event("run_started", arm=arm)
    run = _run(context, arm, position, slot, folder)
    graded = grade_launch(context.task, run, folder)
    if run.status == "launched" and graded.status == "failed":
        gpus = slot.devices if slot else ()
        seen = outside.seen(context, arm, graded.suspected, gpus, since)
        run = msgspec.structs.replace(run, seen=seen)
        graded = grade_launch(context.task, run, folder)
    seconds = round(time.monotonic() - clock, 3)
    if run.status == "launched" and _has_to_be_repeated(context, run, graded, seconds):
        return False
    raw_logs.compress_all(folder, LOG_SUFFIXES)
    write_json(folder / RUN_RECORD, run)
    sync(folder)  # before the journal says that the launch is finished
    result = graded.status if run.status == "launched" else run.status
    context.write_event(
        "run_finished", arm=arm, result=result, cause=graded.cause or "", seconds=seconds,
        detail=" ".join(graded.suspected),
    )  # fmt: skip
    return True


def _has_to_be_repeated(context: BlockContext, run: Run, graded: GradedRun, seconds: float) -> bool:
    """Journal a launch that was spoilt and return True if it is repeated at once. Raises InfraFault
    if the machine spoilt it or it was killed, unless that is its outcome."""
    cause = graded.cause or ""
    spoilt = functools.partial(context.write_event, "run_spoilt", arm=run.arm, seconds=seconds)
    if cause.startswith("infra."):
        spoilt(cause=cause)
        if not relaunch.is_final(context, run.arm, cause):
            raise relaunch.machine_fault(run, graded)
    elif relaunch.is_suspect(context, graded):
        spoilt(cause=graded.suspected[0], detail=relaunch.SUSPECTED)
        relaunch.announce(run, graded)
        return True
    elif relaunch.is_chance(context, run.arm, cause):
        spoilt(cause=cause)
        relaunch.announce(run, graded)
        return True
    elif cause == relaunch.KILLED and not relaunch.is_killed_for_good(context, run.arm):
        spoilt(cause=cause)
        raise relaunch.killed(context, run, graded)
    return False


def _run(
    context: BlockContext, arm: str, position: int, slot: gpu_slots.Slot | None, folder: Path
) -> Run:
    """Launch an arm, if it has an image and is not known to fail, and return its record."""
    task, image, started = context.task, context.image(arm), journal.now()
    run = Run(
        commit=task.commit,
        block=context.block,
        arm=arm,
        position=position,
        status="launched",
        block_digest=context.digest,
        workload_id=task.workload_id,
        started=started,
        ended=started,
        folder=str(folder),
        image=image.image,
        tree=context.runtime.tree(task, image.image) if image.image else "",
        patch_sha256=image.patch_sha256,
        provenance=provenance(context, slot),
    )
    replace = msgspec.structs.replace
    if image.status != "ok":
        run = replace(run, status="passed_on", upstream=earlier_failure(image, Outcome))
    elif failure := resume.known_failure(task, context.results, context.block, arm, context.digest):
        run = replace(run, status="not_repeated", upstream=failure)
    else:
        assert slot is not None
        phases = _launch(context, arm, folder, slot)
        measured = {**gpu_activity(folder), **processor_time(phases)}
        run = replace(run, phases=phases, provenance={**run.provenance, **measured})
    return replace(run, ended=journal.now())


def _launch(
    context: BlockContext, arm: str, folder: Path, slot: gpu_slots.Slot
) -> tuple[Phase, ...]:
    gpu_slots.await_clean(slot.devices, context.guard, gpu_driver.why_not_free)
    with telemetry.recorded(slot.devices, folder):
        return launch.run(context.launch(arm, folder, slot))
