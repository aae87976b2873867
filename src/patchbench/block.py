"""One block: every arm of a task launched once, in rotated order, on one GPU slot.

The block is the unit of pairing and of resuming: finished launches stand in the journal, so a
block that died goes on at its next arm, if nothing that it depends on has changed.
"""

from __future__ import annotations

import os
import platform
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import msgspec

from patchbench import __version__, gpu, grading, journal, launch, processes
from patchbench.campaign import block_order
from patchbench.errors import BadInput, InfraFault
from patchbench.files import read_json, write_json
from patchbench.grading import RUN_FILE
from patchbench.journal import Event
from patchbench.patches import passed_on
from patchbench.processes import Guard
from patchbench.records import AA, BASELINE, Block, Built, Evidence, Outcome, Phase, Run, Task
from patchbench.runtimes import Runtime


class Setting(NamedTuple):
    """All that a block works with. ``rebuild`` makes an image again that was evicted."""

    task: Task
    block: int
    digest: str
    images: dict[str, Built]
    results: Path
    slots: int
    runtime: Runtime
    guard: Guard
    rebuild: Callable[[Built], None]
    finished: Callable[[Event], None]

    @property
    def folder(self) -> Path:
        """Folder of this block's runs."""
        return self.results / "runs" / self.task.commit / f"block-{self.block}"

    @property
    def journal(self) -> Path:
        """This block's journal."""
        return journal.path(self.results, self.task.commit, self.block)

    def image(self, arm: str) -> Built:
        """The image of an arm; the A/A run takes the baseline's."""
        return self.images[BASELINE if arm == AA else arm]


def measure(setting: Setting) -> Block:
    """Run what is left of the block. Raises InfraFault or Stopped; what is done stays done."""
    task = setting.task
    if task.exclusion is not None:
        return _block(setting, (), "excluded")
    order = block_order(list(setting.images), setting.block, task.protocol)
    done = usable(setting)
    _set_aside(setting, set(done))
    todo = [arm for arm in order if arm not in done]
    needs_gpu = any(setting.image(arm).status == "ok" for arm in todo)
    if needs_gpu:
        with gpu.slot(setting.slots, task.protocol.limits.gpu_wait, setting.guard) as slot:
            _note_leftovers(setting)
            for arm in {BASELINE: None} | dict.fromkeys(todo):
                _ensure_image(setting, arm)
            for arm in todo:
                _run_arm(setting, arm, order.index(arm), slot)
    else:
        for arm in todo:
            _run_arm(setting, arm, order.index(arm), None)
    return _block(setting, tuple(order), "done")


def _block(setting: Setting, order: tuple[str, ...], status: str) -> Block:
    return Block(
        commit=setting.task.commit,
        block=setting.block,
        digest=setting.digest,
        order=order,
        runs=tuple(str(setting.folder / arm) for arm in order),
        status=status,  # type: ignore[arg-type]
    )


def usable(setting: Setting) -> dict[str, Event]:
    """Finished runs of this block that still count: same digest, and the raw files are there."""
    done = journal.finished(journal.read(setting.journal), setting.digest)
    return {
        arm: event for arm, event in done.items() if (setting.folder / arm / RUN_FILE).is_file()
    }


def _set_aside(setting: Setting, keep: set[str]) -> None:
    """Clear this block's folder of what doesn't count: a launch cut short is removed, a finished
    run of an older digest is moved away, for nothing measured is ever thrown out."""
    for folder in setting.folder.iterdir() if setting.folder.is_dir() else ():
        if not folder.is_dir() or folder.name in keep:
            continue
        if not (folder / RUN_FILE).is_file():
            shutil.rmtree(folder)
            continue
        old = read_json(folder / RUN_FILE, Run)
        place = setting.results / "superseded" / old.block_digest / old.commit
        place = place / f"block-{old.block}" / folder.name
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(place, ignore_errors=True)
        folder.rename(place)


def _note_leftovers(setting: Setting) -> None:
    if left := processes.end_leftovers():
        _journal(setting, "leftovers_ended", detail="; ".join(left))


def _ensure_image(setting: Setting, arm: str) -> None:
    built = setting.image(arm)
    if built.status == "ok" and not setting.runtime.exists(built.image):
        setting.rebuild(built)


def _run_arm(setting: Setting, arm: str, position: int, slot: gpu.Slot | None) -> None:
    started, at = time.monotonic(), journal.now()
    folder = setting.folder / arm
    folder.mkdir(parents=True, exist_ok=True)
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
        patch_sha256=built.patch_sha256,
        provenance=provenance(built, setting, slot),
    )
    if built.status != "ok":
        run = msgspec.structs.replace(run, status="passed_on", upstream=passed_on(built, Outcome))
    elif repeated := _not_repeated(setting, arm):
        run = msgspec.structs.replace(run, status="not_repeated", upstream=repeated)
    else:
        assert slot is not None
        run = msgspec.structs.replace(run, phases=_launch(setting, built, folder, slot))
    run = msgspec.structs.replace(run, ended=journal.now())
    write_json(folder / RUN_FILE, run)
    graded = grading.grade_run(setting.task, run, folder)
    if run.status == "launched" and (graded.cause or "").startswith("infra."):
        assert graded.evidence is not None
        raise InfraFault(
            f"{graded.cause} | commit {run.commit[:8]} | arm {arm} | block {run.block} | "
            f"{graded.evidence.text} | nothing was charged to an agent | "
            f"log: {graded.evidence.file}:{graded.evidence.line} | "
            "next: mend the machine, then run the same command again"
        )
    _journal(
        setting,
        "run_finished",
        arm=arm,
        result=graded.status if run.status == "launched" else run.status,
        cause=graded.cause or "",
        seconds=round(time.monotonic() - started, 3),
    )


def _launch(setting: Setting, built: Built, folder: Path, slot: gpu.Slot) -> tuple[Phase, ...]:
    assert setting.task.workload is not None
    return launch.run(
        launch.Launch(
            task=setting.task,
            workload=setting.task.workload,
            image=built.image,
            judge=setting.image(BASELINE).image,
            folder=folder,
            runtime=setting.runtime,
            guard=setting.guard,
            env={"CUDA_VISIBLE_DEVICES": slot.name},
            keep=(slot.fd,),
        )
    )


def _not_repeated(setting: Setting, arm: str) -> Outcome | None:
    """An arm that failed in enough earlier blocks in the same way is not launched again: each
    such launch could cost a full time limit and would tell nothing new."""
    earlier: list[Event] = []
    for number in range(1, setting.task.protocol.blocks + 1):
        if number != setting.block:
            events = journal.read(journal.path(setting.results, setting.task.commit, number))
            event = journal.finished(events, setting.digest).get(arm)
            if event and event.result in ("failed", "measured"):
                earlier.append(event)
    failed = [event for event in earlier if event.result == "failed"]
    limit = setting.task.protocol.arm_failures
    if len(failed) < limit or len(failed) < len(earlier) or len({e.cause for e in failed}) > 1:
        return None
    first = failed[0]
    folder = setting.results / "runs" / first.commit / f"block-{first.block}" / arm
    run = read_json(folder / RUN_FILE, Run)
    graded = grading.grade_run(setting.task, run, folder)
    seen = ", ".join(str(event.block) for event in failed)
    evidence = graded.evidence or Evidence(text=first.cause)
    return Outcome(
        stage=graded.stage or "benchmark",
        commit=run.commit,
        arm=arm,
        status="failed",
        cause=graded.cause,
        evidence=msgspec.structs.replace(
            evidence, text=f"{evidence.text} (blocks {seen}; not launched again)"
        ),
        log=str(folder),
    )


def provenance(built: Built, setting: Setting, slot: gpu.Slot | None) -> dict[str, str]:
    """On what, with what and beside what a run was made."""
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    versions = setting.images[BASELINE].versions
    return {
        "host": platform.node(),
        "machine": platform.machine(),
        "cores": str(os.cpu_count()),
        "load_1min": f"{load:.2f}",
        "gpu_slot": slot.name if slot else "",
        "runtime": setting.runtime.name,
        "patchbench": __version__,
        **{f"version.{name}": version for name, version in versions.items()},
    }


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
