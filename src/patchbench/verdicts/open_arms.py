"""Decide which arms of a task are open: without a verdict that the whole table would keep.

An arm is looked at again after every block: verdicts hold for any such choice (looks.py).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from patchbench.config import VerdictRules
from patchbench.ledger.blocks import place_in_cohort
from patchbench.records import AA, AA_PAIR, BASELINE, GradedRun, Task
from patchbench.verdicts.comparisons import Question, compare
from patchbench.verdicts.looks import Looks, planned
from patchbench.verdicts.rule import decide
from patchbench.verdicts.statistics import spread
from patchbench.verdicts.worth import OpenArm

# The factor by which the correction over the whole table multiplies a p-value if one comparison in
# ten shows a difference. A single task can't know the other tasks: a verdict that would not survive
# the correction is not final yet.
TABLE = 10


def open_arms(
    task: Task,
    runs: Sequence[GradedRun],
    arms: Sequence[str],
    rules: VerdictRules,
    looks: Looks | None = None,
) -> list[OpenArm]:
    """Return the arms of one cohort that have no verdict on the primary metric yet. ``runs`` are
    graded runs of that cohort's finished blocks; ``looks`` are those of the plan at the first look,
    if it was another.

    Arms with too few measured blocks for a verdict are not waited for. Empty before the first look
    is complete, and if no planned block is left.
    """
    plan = planned(task.protocol)
    looks = looks or plan
    done = {place_in_cohort(run.block) for run in runs if run.arm not in AA_PAIR}
    if not done >= set(range(1, plan.first + 1)) or len(done) >= plan.last:
        return []
    found = []
    for arm in arms:
        question = Question(arm, BASELINE, task.primary_metric, "primary")
        row = None if arm in (BASELINE, AA) else compare(task, runs, question, rules, looks)
        if row is None or row.pairs < rules.min_blocks or not row.paired.has_spread:
            continue  # no spread to estimate from
        p = min(1.0, TABLE * row.p_adjusted)
        verdict = decide(row.paired, p_adjusted=p, margin=row.margin, min_blocks=rules.min_blocks)
        if verdict == "inconclusive":
            mean, sd = math.log(row.ratio), spread(row.paired, row.level)
            left = plan.last - len(done)
            found.append(OpenArm(arm, row.pairs, left, mean, sd, row.margin))
    return found
