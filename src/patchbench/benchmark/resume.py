"""Earlier launches of a block: keep those that still count, set the others aside, and skip arms
with a known failure.

A finished launch counts if the journal and its record agree on the block's digest and if it ran on
the same machine and GPU with the same versions: arms are only compared within one block, so a
block is one place and time.
"""

from __future__ import annotations

import shutil
from collections.abc import Collection, Iterable
from pathlib import Path

import msgspec

from patchbench.errors import BadInput
from patchbench.grading.judged import read_records
from patchbench.grading.launch import grade_launch
from patchbench.grading.run_folder import SCORING, block_folder, read_run, superseded_folder
from patchbench.ledger import journal
from patchbench.ledger.blocks import block_numbers, cohort_of
from patchbench.ledger.journal import Event
from patchbench.records import BASELINE, Evidence, Outcome, Run, Task

# Equal for comparable launches, beside all versions.
SAME_PLACE = ("host", "machine", "gpu_slot")
# Equal if both launches know them: rented machines may share one host name.
SAME_GPU = ("gpu_uuid", "gpu_driver")


def finished_launches(
    results: Path, commit: str, block: int, digest: str
) -> dict[str, tuple[Event, Run]]:
    """Return the finished launches of a block under a digest by arm: the journal's event and the
    record."""
    events = journal.finished(journal.read(journal.path(results, commit, block)), digest)
    folder = block_folder(results, commit, block)
    runs = {arm: read_run(folder / arm) for arm in events}
    return {
        arm: (events[arm], run)
        for arm, run in runs.items()
        if run is not None and run.block_digest == digest
    }


def damage(task: Task, run: Run, event: Event, folder: Path) -> str:
    """Return what is wrong with the judge's records of a launch that was measured: they were whole
    when it finished. Empty if nothing is."""
    if run.status != "launched" or event.result != "measured":
        return ""
    try:
        read_records(task, run.block, folder)
    except BadInput as error:
        return str(error)
    return ""


def place_changes(run: Run, provenance: dict[str, str]) -> list[str]:
    """Return the differences in host, GPU or versions between a launch and ``provenance``, in
    words. A record without a launch fits every place."""
    if run.status != "launched":
        return []
    then, now = run.provenance, provenance
    versions = sorted(name for name in {**then, **now} if name.startswith("version."))
    gpu = [name for name in SAME_GPU if then.get(name) and now.get(name)]
    return [
        f"{name} was {then.get(name) or 'unknown'}, is {now.get(name) or 'unknown'}"
        for name in (*SAME_PLACE, *gpu, *versions)
        if then.get(name) != now.get(name)
    ]


def earlier_slot(runs: Iterable[Run], provenance: dict[str, str]) -> str:
    """Return the GPU slot on which all launches ran if all else in ``provenance`` is as it was for
    them; otherwise an empty text, also without a launch."""
    launched = [run for run in runs if run.status == "launched"]
    slots = {run.provenance.get("gpu_slot", "") for run in launched}
    if len(slots) != 1:
        return ""
    (slot,) = slots
    here = {**provenance, "gpu_slot": slot}
    return "" if any(place_changes(run, here) for run in launched) else slot


def set_aside(results: Path, commit: str, block: int, keep: Collection[str]) -> None:
    """Clear a block's folder of all launches but those of the arms to keep. Unfinished ones and
    records without a launch are removed; finished launches are moved to ``superseded``. If any is
    kept, so is the launch that scored it."""
    folder = block_folder(results, commit, block)
    keep = {*keep, SCORING} if keep else ()
    for place in folder.iterdir() if folder.is_dir() else ():
        if not place.is_dir() or place.name in keep:
            continue
        run = read_run(place)
        if run is None or run.status == "passed_on":
            shutil.rmtree(place)
            continue
        stamp = run.ended.replace(":", "").replace("+0000", "Z")
        target = superseded_folder(results, commit, block) / f"{place.name}-{stamp}"
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(target, ignore_errors=True)
        place.rename(target)


def known_failure(task: Task, results: Path, block: int, arm: str, digest: str) -> Outcome | None:
    """Return the outcome of an arm that needs no launch in this block, or None if it needs one.

    An arm needs none if it never worked and failed in ``protocol.arm_failures`` other blocks of
    its cohort, always with the same cause and beside a measured baseline. Failures beside a failed
    baseline count once the baseline itself needs no launch."""
    failures: list[tuple[Event, Run]] = []
    for number in block_numbers(cohort_of(block), task.protocol.most_blocks):
        if number == block:
            continue
        finished = finished_launches(results, task.commit, number, digest)
        if arm not in finished:
            continue
        event, _ = finished[arm]
        if event.result == "measured":
            return None
        if event.result == "failed" and (
            arm == BASELINE
            or (BASELINE in finished and finished[BASELINE][0].result == "measured")
            or known_failure(task, results, block, BASELINE, digest) is not None
        ):
            failures.append(finished[arm])
    if len(failures) < task.protocol.arm_failures or len({e.cause for e, _ in failures}) > 1:
        return None
    event, run = failures[0]
    place = block_folder(results, task.commit, event.block) / arm
    graded = grade_launch(task, run, place)
    if graded.cause is None:
        return None
    numbers = ", ".join(str(event.block) for event, _ in failures)
    evidence = graded.evidence or Evidence(text=event.cause)
    return Outcome(
        stage=graded.stage or "benchmark",
        commit=run.commit,
        arm=arm,
        status="failed",
        cause=graded.cause,
        evidence=msgspec.structs.replace(
            evidence, text=f"{evidence.text} (blocks {numbers}; not launched again)"
        ),
        log=str(place),
    )
