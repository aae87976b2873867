"""Decide which arms of a task need more blocks, from its finished blocks.

Each job beyond the first look either measures one more block or ends at once. The number of blocks
follows from the first look alone, so every job gets the same answer at any time, and no look after
each block can produce a verdict by chance (statistics.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from patchbench.config import VerdictRules
from patchbench.ledger.blocks import place_in_cohort
from patchbench.records import AA, BASELINE, GradedRun, Metrics, Task
from patchbench.verdicts.comparisons import Comparison, Question, compare
from patchbench.verdicts.noise_floor import Floor, floors
from patchbench.verdicts.rule import Verdict, blocks_to_decide, decide
from patchbench.verdicts.statistics import blocks_to_narrow, planned

# The factor by which the correction over the whole table multiplies a p-value if one comparison in
# ten shows a difference. A task's first look can't know the other tasks: a verdict that would not
# survive the correction is not final yet.
TABLE = 10


class Undecided(NamedTuple):
    """An arm that needs more blocks: half the width of its interval at the first look and the floor
    (relative changes), the blocks that it gets in all, about how many would narrow its interval to
    the floor, and about how many would decide it if the plan has that many."""

    arm: str
    pairs: int
    half_width: float
    floor: float
    blocks: int
    needed: int

    @property
    def reason(self) -> str:
        """The line for the progress log."""
        open_ = f"±{100 * self.half_width:.1f} % against a floor of {100 * self.floor:.1f} %"
        most = "" if self.needed <= self.blocks else f" (about {self.needed} would do)"
        return f"{self.arm}: {open_} after {self.pairs} blocks; {self.blocks} blocks{most}"


def undecided(
    task: Task,
    runs: Sequence[GradedRun],
    arms: Sequence[str],
    rules: VerdictRules,
    floor: Floor | None = None,
) -> list[Undecided]:
    """Return the arms of one cohort that still need more blocks.

    An arm is open if its verdict on the primary metric was inconclusive at the first look, or may
    not survive the correction over the whole table. It needs more blocks if its interval was wider
    than the floor, or if the planned blocks would decide it. ``runs`` are graded runs of that
    cohort's finished blocks; ``floor`` is the campaign's if there is one already, else it comes
    from this task's own launches.

    Arms with too few measured blocks for a verdict are not waited for. Empty before the first look
    is complete, and if no block is planned beyond it.
    """
    plan = planned(task.protocol)
    first = [run for run in runs if place_in_cohort(run.block) <= plan.first]
    done = len({run.block for run in runs})
    if plan.looks == 1 or len({run.block for run in first}) < plan.first or done >= plan.last:
        return []
    own = Metrics(commit=task.commit, digests=(), runs=tuple(first), arms=())
    noise = floors({task.commit: task}, {task.commit: own}, rules.min_floor)
    if floor is not None:
        noise[task.commit, task.primary_metric] = floor
    candidates = (_at_first_look(task, first, arm, rules, noise) for arm in arms)
    return [arm for arm in candidates if arm is not None and arm.blocks > done]


def _at_first_look(
    task: Task,
    first: Sequence[GradedRun],
    arm: str,
    rules: VerdictRules,
    noise: dict[tuple[str, str], Floor],
) -> Undecided | None:
    """Return the arm as undecided by the first look; None if it is decided, or can't be decided."""
    if arm in (BASELINE, AA):
        return None
    question = Question(arm, BASELINE, task.primary_metric, "primary")
    row = compare(task, first, question, rules, noise)
    if row is None or row.pairs < rules.min_blocks:
        return None  # no spread to estimate from
    if _verdict(row, rules) != "inconclusive":
        return None
    plan = planned(task.protocol)
    missing = plan.first - row.pairs  # a block with a failed arm is no pair
    narrow = blocks_to_narrow(row.paired, row.floor, row.level)
    decided = blocks_to_decide(
        row.paired,
        times=TABLE * row.looks,
        floor=row.floor,
        confidence=row.level,
        min_blocks=rules.min_blocks,
    )
    if decided is not None and decided + missing > plan.last:
        decided = None  # more than are planned: an arm with a narrow interval stays open
    if narrow is None and decided is None:
        return None
    needed = max(narrow or 0, decided or 0) + missing
    half = row.paired.half_width
    return Undecided(arm, row.pairs, half, row.floor, min(plan.last, needed), needed)


def _verdict(row: Comparison, rules: VerdictRules) -> Verdict:
    """Return the verdict that survives the correction over any table."""
    return decide(
        row.paired,
        p_adjusted=min(1.0, TABLE * row.p_adjusted),
        floor=row.floor,
        min_blocks=rules.min_blocks,
    )
