"""Self-measured tasks: the time that a benchmark claims, held against the clock outside.

A commit's own benchmark times itself, so a patched process can slow its clock. The clock outside
also sees the start of the process: what it sees beyond the claim may not grow.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

from patchbench.records import BASELINE, GradedRun, Task
from patchbench.verdicts.launch_values import values

CLAIMED, OUTSIDE = "claimed_s", "clock_s"
SHARE, SECONDS = 0.1, 1.0  # of the baseline's claim; absolute


def disagreement(task: Task, runs: Sequence[GradedRun], arm: str) -> str:
    """Return why an arm's claimed times can't be believed beside the clock outside, in words; empty
    if they can, if the judge measured, or if nothing is known."""
    if task.workload is None or task.workload.load is not None:
        return ""
    own, base = unclaimed(runs, arm), unclaimed(runs, BASELINE)
    claimed = values(runs, BASELINE, CLAIMED)
    common = [block for block in own if block in base]
    if not common:
        return ""
    more = fmean(own[block] - base[block] for block in common)
    if more <= SHARE * fmean(claimed[block] for block in common) + SECONDS:
        return ""
    return f"the clock outside saw {more:.1f} s per window more beyond what it claims"


def unclaimed(runs: Sequence[GradedRun], arm: str) -> dict[int, float]:
    """Return in each block how much longer an arm's benchmark took by the clock outside than it
    claims, seconds."""
    claimed, outside = values(runs, arm, CLAIMED), values(runs, arm, OUTSIDE)
    return {block: outside[block] - claimed[block] for block in outside if block in claimed}
