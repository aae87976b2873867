"""Who is charged for a failure: an agent only where the baseline of the same block worked.

Rules, in this order:
1. A cause of infrastructure or harness stays with it, whichever arm it struck.
2. A patch that never became a tree (missing, empty, refused) is its arm's own.
3. A failed launch is charged to the agent only if the baseline in the same block was measured;
   otherwise it is the task's, or unknown where no baseline was launched at all.
4. The human's commit is part of the task: what fails in its arm is the task's.
5. The baseline's own failure is the task's.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import msgspec

from patchbench.failures.causes import CAUSES, Blame
from patchbench.records import AA, BASELINE, HUMAN, ArmResult, GradedRun

STAGES_BEFORE_LAUNCH = ("fetch_patch", "validate_patch", "build_image", "resolve_task")


def blame(run: GradedRun, baseline: GradedRun | None) -> Blame:
    """Who is charged for a failed run, given the baseline's run of the same block."""
    assert run.cause is not None
    usual = CAUSES[run.cause].blame
    if usual != "agent":
        return usual
    if run.arm in (BASELINE, AA, HUMAN):
        return "task"
    if run.stage in STAGES_BEFORE_LAUNCH:
        return "agent"
    if baseline is None or not baseline.launched:
        return "unknown"
    return "agent" if baseline.status == "measured" else "task"


def attribute(runs: Iterable[GradedRun]) -> list[GradedRun]:
    """All runs of a task with the blame of each failed one filled in."""
    runs = list(runs)
    baselines = {run.block: run for run in runs if run.arm == BASELINE}
    return [
        msgspec.structs.replace(run, blame=blame(run, baselines.get(run.block)))
        if run.status == "failed"
        else run
        for run in runs
    ]


# So many blocks may fail and the arm still counts as measured; the report then says so.
TOLERATED_FAILURES = 1


def arm_result(arm: str, runs: list[GradedRun], min_blocks: int) -> ArmResult:
    """What became of an arm over its blocks: measured if enough blocks were and all but one
    worked, else its most frequent cause (the earliest among equals). A wrong answer in any block
    decides; only blocks in which the arm was launched have a vote, if there are any."""
    measured = [run for run in runs if run.status == "measured"]
    failed = [run for run in runs if run.status == "failed"]
    wrong = [run for run in failed if run.cause == "bench.wrong_output"]
    enough = len(measured) >= min(min_blocks, len(runs)) and len(failed) <= TOLERATED_FAILURES
    if measured and enough and not wrong:
        return ArmResult(
            arm=arm,
            status="measured",
            blocks_measured=len(measured),
            blocks_failed=len(failed),
        )
    launched = [run for run in failed if run.launched]
    counted = Counter((run.cause, run.blame) for run in wrong or launched or failed)
    (cause, charged), _ = counted.most_common(1)[0]
    first = next(run for run in failed if (run.cause, run.blame) == (cause, charged))
    return ArmResult(
        arm=arm,
        status="failed",
        cause=cause,
        blame=charged,
        stage=first.stage,
        evidence=first.evidence,
        log=first.folder or None,
        blocks_measured=len(measured),
        blocks_failed=len(failed),
    )
