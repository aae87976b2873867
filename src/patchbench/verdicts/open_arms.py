"""Decide which arms of a task need more blocks, from its finished blocks.

Each job beyond the first look either measures one more block or ends at once. The number of blocks
follows from the first look alone, so every job gets the same answer at any time, and blocks of a
task may run side by side. Verdicts hold for any such choice (looks.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from patchbench.config import VerdictRules
from patchbench.ledger.blocks import place_in_cohort
from patchbench.records import AA, BASELINE, GradedRun, Task
from patchbench.verdicts.comparisons import Comparison, Question, compare
from patchbench.verdicts.looks import Looks, planned
from patchbench.verdicts.rule import Verdict, blocks_to_decide, blocks_to_narrow, decide

# The factor by which the correction over the whole table multiplies a p-value if one comparison in
# ten shows a difference. A task's first look can't know the other tasks: a verdict that would not
# survive the correction is not final yet.
TABLE = 10


class Undecided(NamedTuple):
    """An arm that needs more blocks: half the width of its interval at the first look and the
    margin (relative changes), the blocks that it gets in all, about how many would narrow its
    interval to the margin, and about how many would decide it if the plan has that many."""

    arm: str
    pairs: int
    half_width: float
    margin: float
    blocks: int
    needed: int

    @property
    def reason(self) -> str:
        """The line for the progress log."""
        open_ = f"±{100 * self.half_width:.1f} % against a margin of {100 * self.margin:.1f} %"
        most = "" if self.needed <= self.blocks else f" (about {self.needed} would do)"
        return f"{self.arm}: {open_} after {self.pairs} blocks; {self.blocks} blocks{most}"


def undecided(
    task: Task,
    runs: Sequence[GradedRun],
    arms: Sequence[str],
    rules: VerdictRules,
    looks: Looks | None = None,
) -> list[Undecided]:
    """Return the arms of one cohort that still need more blocks.

    An arm is open if its verdict on the primary metric was inconclusive at the first look, or may
    not survive the correction over the whole table. It needs more blocks if its interval was wider
    than the margin, or if the planned blocks would decide it. ``runs`` are graded runs of that
    cohort's finished blocks; ``looks`` are those of the plan at the first look, if it was another.

    Arms with too few measured blocks for a verdict are not waited for. Empty before the first look
    is complete, and if no block is planned beyond it.
    """
    plan = planned(task.protocol)
    first = [run for run in runs if place_in_cohort(run.block) <= plan.first]
    done = len({run.block for run in runs})
    whole = len({run.block for run in first}) >= plan.first
    if plan.first == plan.last or not whole or done >= plan.last:
        return []
    candidates = (_at_first_look(task, first, arm, rules, looks or plan) for arm in arms)
    return [arm for arm in candidates if arm is not None and arm.blocks > done]


def _at_first_look(
    task: Task, first: Sequence[GradedRun], arm: str, rules: VerdictRules, looks: Looks
) -> Undecided | None:
    """Return the arm as undecided by the first look; None if it is decided, or can't be decided."""
    if arm in (BASELINE, AA):
        return None
    plan = planned(task.protocol)
    question = Question(arm, BASELINE, task.primary_metric, "primary")
    row = compare(task, first, question, rules, looks)
    if row is None or row.pairs < rules.min_blocks:
        return None  # no spread to estimate from
    if _verdict(row, rules) != "inconclusive":
        return None
    missing = plan.first - row.pairs  # a block with a failed arm is no pair
    narrow = blocks_to_narrow(
        row.paired, level=row.level, margin=row.margin, looks=looks, confidence=rules.confidence
    )
    decided = blocks_to_decide(
        row.paired,
        level=row.level,
        table=TABLE,
        margin=row.margin,
        looks=looks,
        confidence=rules.confidence,
        min_blocks=rules.min_blocks,
    )
    if decided is not None and decided + missing > plan.last:
        decided = None  # more than are planned: an arm with a narrow interval stays open
    if narrow is None and decided is None:
        return None
    needed = max(narrow or 0, decided or 0) + missing
    half = row.paired.half_width
    return Undecided(arm, row.pairs, half, row.margin, min(plan.last, needed), needed)


def _verdict(row: Comparison, rules: VerdictRules) -> Verdict:
    """Return the verdict that survives the correction over any table."""
    return decide(
        row.paired,
        p_adjusted=min(1.0, TABLE * row.p_adjusted),
        margin=row.margin,
        min_blocks=rules.min_blocks,
    )
