"""What a block may take over from earlier launches, and what it must set aside.

A finished launch counts again only if it stands in the journal under the same digest, its facts
lie in the folder under that digest too, and it was made on the same machine with the same GPU and
versions: arms are only ever compared within one block, so a block is one place and time.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import msgspec

from patchbench.blocks import block_numbers, cohort_of
from patchbench.grading import launch_result
from patchbench.grading.run_folder import block_folder, read_run, superseded_folder
from patchbench.ledger import journal
from patchbench.ledger.journal import Event
from patchbench.records import BASELINE, Evidence, Outcome, Run, Task

# What must be equal for two launches to be comparable (beside the digest).
SAME_PLACE = ("host", "machine", "gpu_slot")
# The same where both launches know it: rented machines may all have one name.
SAME_GPU = ("gpu_uuid", "gpu_driver")


def finished(results: Path, commit: str, block: int, digest: str) -> dict[str, tuple[Event, Run]]:
    """Arms of a block whose launch counts under this digest: journal and facts agree."""
    events = journal.finished(journal.read(journal.path(results, commit, block)), digest)
    folder = block_folder(results, commit, block)
    runs = {arm: read_run(folder / arm) for arm in events}
    return {
        arm: (events[arm], run)
        for arm, run in runs.items()
        if run is not None and run.block_digest == digest
    }


def same_place(run: Run, provenance: dict[str, str]) -> bool:
    """Whether a launch was made where, and with what, launches are made now. A run that launched
    nothing was made nowhere."""
    if run.status != "launched":
        return True
    names = {
        *SAME_PLACE,
        *(n for n in {**run.provenance, **provenance} if n.startswith("version.")),
    }
    both = {name for name in SAME_GPU if run.provenance.get(name) and provenance.get(name)}
    return all(run.provenance.get(name) == provenance.get(name) for name in names | both)


def set_aside(results: Path, commit: str, block: int, keep: set[str]) -> None:
    """Clear a block's folder of what doesn't count: a launch cut short is removed, and so is what
    launched nothing; a finished launch is moved away, for nothing measured is ever thrown out."""
    folder = block_folder(results, commit, block)
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


def not_repeated(task: Task, results: Path, block: int, arm: str, digest: str) -> Outcome | None:
    """The outcome of an arm that need not be launched again: it failed in enough other blocks, in
    the same way, never worked, and each time the baseline of that block did. Another launch could
    cost a whole time limit and would tell nothing new. Blocks in which the baseline failed too
    count once the baseline isn't launched again either: then no block is left to tell more."""
    failed: list[tuple[Event, Run]] = []
    for number in block_numbers(cohort_of(block), task.protocol.most_blocks):
        if number == block:
            continue
        done = finished(results, task.commit, number, digest)
        if arm not in done:
            continue
        event = done[arm][0]
        if event.result == "measured":
            return None
        baseline = done.get(BASELINE)
        if event.result == "failed" and (
            arm == BASELINE
            or (baseline is not None and baseline[0].result == "measured")
            or not_repeated(task, results, block, BASELINE, digest) is not None
        ):
            failed.append(done[arm])
    if len(failed) < task.protocol.arm_failures or len({e.cause for e, _ in failed}) > 1:
        return None
    event, run = failed[0]
    graded = launch_result.grade_run(task, run, Path(run.folder))
    if graded.cause is None:
        return None
    seen = ", ".join(str(event.block) for event, _ in failed)
    evidence = graded.evidence or Evidence(text=event.cause)
    return Outcome(
        stage=graded.stage or "benchmark",
        commit=run.commit,
        arm=arm,
        status="failed",
        cause=graded.cause,
        evidence=msgspec.structs.replace(
            evidence, text=f"{evidence.text} (blocks {seen}; not launched again)"
        ),
        log=run.folder,
    )
