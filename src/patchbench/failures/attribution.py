"""Attribution: the blame for a failure. The rules, in their order, stand in docs/blame.md."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

import msgspec

from patchbench.failures import tracebacks
from patchbench.failures.causes import CAUSES, Blame
from patchbench.failures.log_lines import plain
from patchbench.records import AA, BASELINE, HUMAN, ArmResult, GradedRun

OWN_ARMS = (BASELINE, AA, HUMAN)

STAGES_BEFORE_LAUNCH = ("fetch_patch", "validate_patch", "build_image", "resolve_task")
# If any of these is known of both and differs, the baseline is no control.
PLACE = ("host", "machine", "gpu_slot", "runtime", "parent_image")
TIMEOUTS = {"server.timeout": "server_start", "bench.timeout": "benchmark"}
# Causes that chance brings about, and that are charged to an arm with as many blocks of them.
CHANCE = ("killed", "harness.torn_record", "harness.judge_stopped")
REPEATED = 2
# If the baseline needs a larger share of a time limit, the limit is too tight.
CLEAR_OF_LIMIT = 0.5


def blame(run: GradedRun, baseline: GradedRun | None, human: GradedRun | None = None) -> Blame:
    """Return the blame for a failed launch, given the baseline's and the human's of its block."""
    assert run.cause is not None
    usual = CAUSES[run.cause].blame
    if usual != "agent" and not refuted(run, baseline):
        return usual
    if run.arm in OWN_ARMS:
        return "task"
    if run.stage in STAGES_BEFORE_LAUNCH:
        return "agent"
    if baseline is None or not baseline.launched or not same_place(run, baseline):
        return "unknown"
    if baseline.status != "measured":
        return "task"
    if human and human.launched and human.status == "failed" and kind(human) == kind(run):
        return "task"
    return "unknown" if too_tight(run, baseline) else "agent"


def refuted(run: GradedRun, baseline: GradedRun | None) -> bool:
    """Return True if the cause is a fault shared by all arms and the baseline worked: then it can't
    be the cause."""
    return (
        run.cause is not None
        and CAUSES[run.cause].shared
        and run.arm not in OWN_ARMS
        and baseline is not None
        and baseline.status == "measured"
        and same_place(run, baseline)
    )


def advice(cause: str, charged: str | None) -> str:
    """Return the next step for a cause. If it is a fault that all arms share and the agent is
    charged, the baseline worked: the change made it."""
    row = CAUSES[cause]
    if row.shared and charged == "agent":
        return "the baseline worked with the same: look for it in the change"
    return row.advice


def same_place(run: GradedRun, baseline: GradedRun) -> bool:
    """Return True if two launches had the same machine, GPU and parent image."""
    here, there = run.provenance, baseline.provenance
    return all(here[name] == there[name] for name in PLACE if name in here and name in there)


HEX = re.compile(r"\b0x[0-9a-f]+\b", re.IGNORECASE)
PATH = re.compile(r"(?:[\w.~-]*/)+([\w.-]*)")
NUMBER = re.compile(r"\d+(?:\.\d+)*")
SPACE = re.compile(r"\s+")


def normalised(text: str) -> str:
    """Remove from evidence what differs from launch to launch: numbers, addresses, folders."""
    text = PATH.sub(r"\1", HEX.sub("0x", plain(text)))
    return SPACE.sub(" ", NUMBER.sub("N", text)).strip().lower()


def kind(run: GradedRun) -> tuple[str, str]:
    """Return cause and normalised evidence, equal for launches that failed in the same way."""
    return run.cause or "", normalised(run.evidence.text) if run.evidence else ""


def too_tight(run: GradedRun, baseline: GradedRun) -> bool:
    """Return True if the baseline came close to the time limit that a launch exceeded."""
    phase = TIMEOUTS.get(run.cause or "", "")
    exceeding, reference = run.phase_seconds.get(phase, 0.0), baseline.phase_seconds.get(phase, 0.0)
    return reference > CLEAR_OF_LIMIT * exceeding > 0


def attribute(
    runs: Iterable[GradedRun], files: Mapping[str, Collection[str]] | None = None
) -> list[GradedRun]:
    """Return all launches of a task, the failed ones with blame. If the ``files`` of an arm's patch
    are given, a mark tells if the traceback went through them."""
    runs = list(runs)
    baselines = {run.block: run for run in runs if run.arm == BASELINE}
    humans = {run.block: run for run in runs if run.arm == HUMAN}
    charged = [
        _charged(run, baselines.get(run.block), humans.get(run.block), (files or {}).get(run.arm))
        if run.status == "failed"
        else run
        for run in runs
    ]
    return _no_chance(charged, baselines)


def _no_chance(runs: Sequence[GradedRun], baselines: Mapping[int, GradedRun]) -> list[GradedRun]:
    """Return all launches, those of an agent's arm that was killed, whose record was torn or whose
    judge was held in ``REPEATED`` blocks charged to it. Each such launch was repeated while the
    block's baseline worked, so chance would have to have picked the same arm every time."""
    blocks: Counter[tuple[str, str | None]] = Counter()
    for run in runs:
        baseline = baselines.get(run.block)
        if run.cause not in CHANCE or run.arm in OWN_ARMS or not run.launched or baseline is None:
            continue
        worked = baseline.status == "measured" and same_place(run, baseline)
        blocks[run.arm, run.cause] += worked
    return [
        msgspec.structs.replace(run, blame="agent")
        if blocks[run.arm, run.cause] >= REPEATED
        else run
        for run in runs
    ]


def _charged(
    run: GradedRun,
    baseline: GradedRun | None,
    human: GradedRun | None,
    patched: Collection[str] | None,
) -> GradedRun:
    run = _confirmed(run, baseline, human)
    charged = blame(run, baseline, human)
    if refuted(run, baseline):
        run = _as_shown(run)
    mark = tracebacks.mark(run.traceback, patched) if patched is not None and run.launched else ""
    return msgspec.structs.replace(run, blame=charged, frames=mark)


def _confirmed(run: GradedRun, *own_arms: GradedRun | None) -> GradedRun:
    """Return a launch with a suspected fault of the machine as its cause if one of the task's own
    arms had that fault in the same block."""
    struck = {own.cause for own in own_arms if own is not None and own.status == "failed"}
    cause = next((cause for cause in run.suspected if cause in struck), None)
    if cause is None or run.arm in OWN_ARMS:
        return run
    others = tuple(name for name in (run.cause, *run.other_causes) if name)
    return msgspec.structs.replace(run, cause=cause, other_causes=others)


def _as_shown(run: GradedRun) -> GradedRun:
    """Return a launch with its refuted cause replaced by the next one that isn't refuted, at the
    latest by the one that its phases or its result showed. The evidence stays."""
    left = [name for name in run.other_causes if not CAUSES[name].shared]
    shown = left[0] if left else next(iter(run.other_causes[::-1]), None)
    if shown is None or run.cause is None:
        return run
    others = (run.cause, *(name for name in run.other_causes if name != shown))
    return msgspec.structs.replace(run, cause=shown, other_causes=others)


WRONG_OUTPUT = ("bench.wrong_output", "bench.wrong_output_under_load")

# Blocks that may fail while the arm still counts as measured: one, or this share of many. The
# report then says so.
TOLERATED_FAILURES, TOLERATED_SHARE = 1, 0.2


def is_measured(runs: Sequence[GradedRun], min_blocks: int) -> bool:
    """Return True if an arm counts as measured in these blocks: enough were measured, few failed,
    and none for a wrong answer."""
    measured = sum(run.status == "measured" for run in runs)
    failed = [run for run in runs if run.status == "failed"]
    tolerated = max(TOLERATED_FAILURES, int(TOLERATED_SHARE * len(runs)))
    wrong = any(run.cause in WRONG_OUTPUT for run in failed)
    enough = 0 < measured >= min(min_blocks, len(runs))
    return enough and len(failed) <= tolerated and not wrong


def arm_result(
    arm: str,
    runs: list[GradedRun],
    min_blocks: int,
    cohort_of: Callable[[int], int] = lambda _: 0,
) -> ArmResult:
    """Return an arm's result over its blocks: measured if it counts as measured in any cohort's (a
    later cohort takes no verdict away), else its most frequent cause (the earliest among equals). A
    wrong answer in any block decides. If the arm was launched in any block, the others have no
    vote."""
    measured = [run for run in runs if run.status == "measured"]
    failed = [run for run in runs if run.status == "failed"]
    wrong = [run for run in failed if run.cause in WRONG_OUTPUT]
    cohorts: dict[int, list[GradedRun]] = {}
    for run in runs:
        cohorts.setdefault(cohort_of(run.block), []).append(run)
    if any(is_measured(own, min_blocks) for own in cohorts.values()):
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
