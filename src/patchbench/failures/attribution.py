"""Who is charged for a failure: an agent only where the baseline of the same block worked.

Rules, in this order:
1. A cause of infrastructure or harness stays with it, whichever arm it struck.
2. A fault of what all arms share (image, model, flags, driver, client) can't be what it looks like
   beside a baseline that worked: the failure then counts as what the launch itself showed.
3. The human's commit is part of the task: what fails in its arm, or in the baseline's, is the
   task's.
4. A patch that never became a tree (missing, empty, refused) is its agent's own.
5. A failed launch is charged to the agent only if the baseline in the same block, at the same
   place, was measured; otherwise it is the task's, or unknown where no baseline was launched.
6. What the human's commit fails with in the same block, in the same way, is the task's.
7. A time limit that the baseline needed half of says nothing: unknown.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping

import msgspec

from patchbench.failures import facts, tracebacks
from patchbench.failures.causes import CAUSES, Blame
from patchbench.records import BASELINE, HUMAN, ArmResult, GradedRun

STAGES_BEFORE_LAUNCH = ("fetch_patch", "validate_patch", "build_image", "resolve_task")
# Where these differ (and are known of both), the baseline is no control: another GPU, another
# parent image.
PLACE = ("host", "machine", "gpu_slot", "runtime", "parent_image")
TIMEOUTS = {"server.timeout": "server_start", "bench.timeout": "benchmark"}
# A baseline that takes a larger share of the time that ran out shows that the limit is too tight.
CLEAR_OF_LIMIT = 0.5


def blame(run: GradedRun, baseline: GradedRun | None, human: GradedRun | None = None) -> Blame:
    """Who is charged for a failed run, given the baseline's and the human's run of its block."""
    assert run.cause is not None
    usual = CAUSES[run.cause].blame
    if usual != "agent" and not refuted(run, baseline):
        return usual
    if run.arm in facts.OWN_ARMS:
        return "task"
    if run.stage in STAGES_BEFORE_LAUNCH:
        return "agent"
    if baseline is None or not baseline.launched or not same_place(run, baseline):
        return "unknown"
    if baseline.status != "measured":
        return "task"
    if human and human.launched and human.status == "failed" and facts.key(human) == facts.key(run):
        return "task"
    return "unknown" if too_tight(run, baseline) else "agent"


def refuted(run: GradedRun, baseline: GradedRun | None) -> bool:
    """Whether a baseline that worked shows that a fault of what all arms share is none."""
    return (
        run.cause is not None
        and CAUSES[run.cause].shared
        and run.arm not in facts.OWN_ARMS
        and baseline is not None
        and baseline.status == "measured"
        and same_place(run, baseline)
    )


def same_place(run: GradedRun, baseline: GradedRun) -> bool:
    """Whether two runs were made on one machine, with one GPU and from one parent image."""
    here, there = run.provenance, baseline.provenance
    return all(here[name] == there[name] for name in PLACE if name in here and name in there)


def too_tight(run: GradedRun, baseline: GradedRun) -> bool:
    """Whether the baseline came close to the time limit that a run broke."""
    phase = TIMEOUTS.get(run.cause or "", "")
    mine, its = run.phase_seconds.get(phase, 0.0), baseline.phase_seconds.get(phase, 0.0)
    return its > CLEAR_OF_LIMIT * mine > 0


def attribute(
    runs: Iterable[GradedRun], files: Mapping[str, Collection[str]] | None = None
) -> list[GradedRun]:
    """All runs of a task with the blame of each failed one filled in, and, for the arms whose
    patch's ``files`` are given, whether the traceback went through them."""
    runs = list(runs)
    baselines = {run.block: run for run in runs if run.arm == BASELINE}
    humans = {run.block: run for run in runs if run.arm == HUMAN}
    return [
        _charged(run, baselines.get(run.block), humans.get(run.block), (files or {}).get(run.arm))
        if run.status == "failed"
        else run
        for run in runs
    ]


def _charged(
    run: GradedRun,
    baseline: GradedRun | None,
    human: GradedRun | None,
    patched: Collection[str] | None,
) -> GradedRun:
    charged = blame(run, baseline, human)
    if refuted(run, baseline):
        run = _as_shown(run)
    mark = tracebacks.mark(run.traceback, patched) if patched is not None and run.launched else ""
    return msgspec.structs.replace(run, blame=charged, frames=mark)


def _as_shown(run: GradedRun) -> GradedRun:
    """A run whose cause was refuted, under the next one that wasn't, at the latest under what its
    phases or its result showed; the evidence, a line that did end it, stays."""
    left = [name for name in run.other_causes if not CAUSES[name].shared]
    shown = left[0] if left else next(iter(run.other_causes[::-1]), None)
    if shown is None or run.cause is None:
        return run
    others = (run.cause, *(name for name in run.other_causes if name != shown))
    return msgspec.structs.replace(run, cause=shown, other_causes=others)


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
        frames=first.frames,
        blocks_measured=len(measured),
        blocks_failed=len(failed),
    )
