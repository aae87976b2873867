"""One block: every arm of a task launched once, in rotated order, on one GPU slot.

The block is the unit of pairing and of resuming: finished launches stand in the journal, so a
block that died goes on at its next arm, if nothing that it depends on has changed.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Collection
from pathlib import Path

import msgspec

from patchbench.benchmark import launch, relaunch, resume
from patchbench.benchmark.context import Setting, observed, provenance
from patchbench.benchmark.order import block_order
from patchbench.errors import BadInput, InfraFault
from patchbench.grading import launch_result
from patchbench.grading.run_folder import LOG_SUFFIXES, RUN_RECORD
from patchbench.ledger import journal
from patchbench.ledger.journal import Event
from patchbench.ledger.machine_faults import Waiting
from patchbench.patches import passed_on
from patchbench.records import AA, BASELINE, Block, Built, Outcome, Phase, Run, Task
from patchbench.system import disk, gpu_slots, raw_logs, slurm, telemetry
from patchbench.system.files import read_json, sync, write_json
from patchbench.system.locks import locked


def measure(setting: Setting) -> Block:
    """Run what is left of the block. Raises InfraFault or Stopped; what is done stays done."""
    task = setting.task
    if task.exclusion is not None:
        return _block(setting, (), "excluded")
    assert task.workload is not None
    order = block_order(list(setting.images), setting.block, task.protocol)
    wait = task.protocol.limits.gpu_wait
    turn = Waiting(setting.guard, setting.results)
    # Held until the last write, so that an orphan of a killed run can't work on the same block.
    with locked(
        setting.journal.with_suffix(".lock"),
        seconds=wait,
        what=f"block {setting.block} of {task.commit[:8]}",
        tick=turn.check,
    ):
        over = resume.finished(setting.results, task.commit, setting.block, setting.digest)
        done = {arm: made for arm, made in over.items() if not _outdated(setting, *made)}
        measured = any(run.status == "launched" for _, run in done.values())
        order = _with_pair(setting, order, over.keys(), measured=measured)
        if all(arm in done or setting.image(arm).status != "ok" for arm in order):
            _work_off(setting, order, set(done), None)
        else:
            relaunch.back_off(setting)
            needed = max(1, task.workload.gpus)
            with setting.runtime.using(task, setting.guard):
                if slurm.images_per_node():
                    _ensure_images(setting, order)  # before the machine has to be quiet
                with (
                    gpu_slots.quiet(True, task.protocol.exclusive, wait, turn),
                    gpu_slots.slot(setting.slots, needed, wait, turn) as slot,
                ):
                    place = provenance(setting, slot)
                    same = all(resume.same_place(run, place) for _, run in done.values())
                    _work_off(setting, order, set(done) if same else set(), slot)
    return _block(setting, tuple(order), "done")


def not_needed(task: Task, block: int, digest: str, results: Path) -> Block:
    """The record of a block beyond the first ones that nobody wants, or wants any more."""
    file = journal.path(results, task.commit, block)
    if journal.begun(journal.read(file), digest):
        event = Event(
            event="block_begun", at=journal.now(), commit=task.commit, block=block, digest=digest
        )
        journal.write(file, event)
    return Block(
        commit=task.commit, block=block, digest=digest, order=(), runs=(), status="not_needed"
    )


def _outdated(setting: Setting, event: Event, run: Run) -> bool:
    """Whether a run that launched nothing says what no longer holds: its image was missing, say,
    and has come."""
    if run.status != "passed_on":
        return False
    built = setting.image(event.arm)
    return built.status == "ok" or run.upstream is None or built.cause != run.upstream.cause


def _with_pair(
    setting: Setting, order: list[str], over: Collection[str], *, measured: bool
) -> list[str]:
    """The block's order, as the journal has it from then on. A second launch of the baseline that
    was measured stays; to a block that was over, with anything ``measured``, none is added, for the
    first one was long ago."""
    begun = journal.begun(journal.read(setting.journal), setting.digest)
    arms = [arm for arm in order if arm != AA]
    if AA in over:
        order = [*arms, AA]
    elif measured and set(arms) <= set(over) and AA not in (begun or ()):
        order = arms
    if order != begun:
        _journal(setting, "block_begun", detail=" ".join(order))
    return order


def _work_off(
    setting: Setting, order: list[str], done: set[str], slot: gpu_slots.Slot | None
) -> None:
    """Launch the arms that are left. A machine's fault in one arm does not keep the others from
    being measured; it is raised at the end."""
    resume.set_aside(setting.results, setting.task.commit, setting.block, done)
    todo = [arm for arm in order if arm not in done]
    if slot is not None:
        places = [setting.results, *setting.runtime.disks()]
        disk.check(places, setting.task.disk, f"block {setting.block} of {setting.task.commit[:8]}")
        if left := setting.runtime.clean():
            _journal(setting, "leftovers_ended", detail="; ".join(left))
        _ensure_images(setting, todo)
    faults = []
    for arm in todo:
        try:
            _run_arm(setting, arm, order.index(arm), slot)
        except InfraFault as fault:
            faults.append(fault)
            if arm == BASELINE:
                break
    if faults:
        raise faults[0]


def _ensure_images(setting: Setting, arms: list[str]) -> None:
    """Make the images that this machine lacks: evicted ones, or all if it never had them."""
    for arm in {BASELINE: None} | dict.fromkeys(arms):
        built = setting.image(arm)
        if built.status == "ok" and not setting.runtime.exists(built.image):
            setting.rebuild(built)


def _block(setting: Setting, order: tuple[str, ...], status: str) -> Block:
    return Block(
        commit=setting.task.commit,
        block=setting.block,
        digest=setting.digest,
        order=order,
        runs=tuple(str(setting.folder / arm) for arm in order),
        status=status,  # type: ignore[arg-type]
    )


def _run_arm(setting: Setting, arm: str, position: int, slot: gpu_slots.Slot | None) -> None:
    started, at = time.monotonic(), journal.now()
    folder = setting.folder / arm
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    _journal(setting, "run_started", arm=arm)
    built = setting.image(arm)
    run = Run(
        commit=setting.task.commit,
        block=setting.block,
        arm=arm,
        position=position,
        status="launched",
        block_digest=setting.digest,
        workload_id=setting.task.workload_id,
        started=at,
        ended=at,
        folder=str(folder),
        image=built.image,
        tree=setting.runtime.tree(setting.task, built.image) if built.image else "",
        patch_sha256=built.patch_sha256,
        provenance=provenance(setting, slot),
    )
    upstream = None
    if built.status == "ok":
        known = (setting.task, setting.results, setting.block, arm, setting.digest)
        upstream = resume.not_repeated(*known)
    if built.status != "ok":
        run = msgspec.structs.replace(run, status="passed_on", upstream=passed_on(built, Outcome))
    elif upstream is not None:
        run = msgspec.structs.replace(run, status="not_repeated", upstream=upstream)
    else:
        assert slot is not None
        phases = _launch(setting, arm, built, folder, slot)
        seen = {**run.provenance, **observed(folder)}
        run = msgspec.structs.replace(run, phases=phases, provenance=seen)
    run = msgspec.structs.replace(run, ended=journal.now())
    graded = launch_result.grade_run(setting.task, run, folder)
    seconds = round(time.monotonic() - started, 3)
    if run.status == "launched" and (graded.cause or "").startswith("infra."):
        _journal(setting, "run_spoilt", arm=arm, cause=graded.cause or "", seconds=seconds)
        if not relaunch.final(setting, arm, graded):
            raise relaunch.fault(run, graded)
    elif run.status == "launched" and relaunch.by_chance(setting, arm, graded.cause):
        _journal(setting, "run_spoilt", arm=arm, cause=graded.cause or "", seconds=seconds)
        relaunch.say(run, graded)
        _run_arm(setting, arm, position, slot)
        return
    for log in sorted(folder.iterdir()):
        if log.suffix in LOG_SUFFIXES:
            raw_logs.compress(log)
    write_json(folder / RUN_RECORD, run)
    sync(folder)  # before the journal says that it is finished
    _journal(
        setting,
        "run_finished",
        arm=arm,
        result=graded.status if run.status == "launched" else run.status,
        cause=graded.cause or "",
        seconds=seconds,
    )


def _launch(
    setting: Setting, arm: str, built: Built, folder: Path, slot: gpu_slots.Slot
) -> tuple[Phase, ...]:
    assert setting.task.workload is not None
    gpu_slots.await_clean(slot.devices, setting.guard, telemetry.clean)
    with telemetry.recorded(slot.devices, folder):
        return launch.run(
            launch.Launch(
                task=setting.task,
                workload=setting.task.workload,
                image=built.image,
                judge=setting.image(BASELINE).image,
                folder=folder,
                runtime=setting.runtime,
                guard=setting.guard,
                arm=arm,
                gpus=_named(setting, slot),
                keep=slot.fds,
            )
        )


def _named(setting: Setting, slot: gpu_slots.Slot) -> tuple[str, ...]:
    """The slot's GPUs as the runtime asks for them: an engine is no part of a Slurm job."""
    if setting.runtime.name != "docker":
        return slot.devices
    if setting.task.containers.gpu == "nvidia":
        return gpu_slots.named_outside(slot, telemetry.uuid)
    templates = setting.task.containers.devices
    return gpu_slots.node_numbers(
        slot,
        telemetry.minors(),
        lambda number: all(Path(node.format(index=number)).exists() for node in templates),
    )


def _journal(setting: Setting, event: str, **more: object) -> None:
    record = Event(
        event=event,  # type: ignore[arg-type]
        at=journal.now(),
        commit=setting.task.commit,
        block=setting.block,
        digest=setting.digest,
        **more,  # type: ignore[arg-type]
    )
    journal.write(setting.journal, record)
    if event == "run_finished":
        setting.finished(record)


def load_images(folder: Path, arms: list[str]) -> dict[str, Built]:
    """Records of all arms' images, the baseline first. Raises BadInput if one is missing."""
    missing = [arm for arm in arms if not (folder / f"{arm}.json").is_file()]
    if missing:
        raise BadInput(f"{folder}: no image record of {', '.join(missing)}")
    return {arm: read_json(folder / f"{arm}.json", Built) for arm in arms}
