"""Arms of a block beyond the first ones, from the raw files of the task's blocks before it.

GPU time goes to open arms that have a fair chance to be decided, with the baseline and the human's
commit to compare them with. A block that no arm needs can still hold an A/A pair.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from patchbench.benchmark import budget, resume
from patchbench.config import VerdictRules
from patchbench.grading.commit import grade_commit
from patchbench.grading.default_noise import default_costs
from patchbench.grading.finished import finished
from patchbench.grading.noise_estimate import costs_of
from patchbench.grading.run_folder import BLOCK_RECORD, block_folder, read_block
from patchbench.ledger import looks as journal_of_looks
from patchbench.ledger.blocks import cohort_of, decided_by, place_in_cohort
from patchbench.records import AA_PAIR, BASELINE, HUMAN, GradedRun, Task
from patchbench.verdicts.looks import Looks, planned
from patchbench.verdicts.open_arms import TABLE, open_arms
from patchbench.verdicts.worth import Worth, worth

BESIDE = (BASELINE, HUMAN)  # launched whenever an arm is: an agent's gain is compared with both


class ExtraBlock(NamedTuple):
    """Arms of an extra block in the task's order, empty if no arm needs the block. ``reason`` is
    one line, empty if all of the arms were launched before."""

    arms: tuple[str, ...]
    reason: str


def plan_extra_block(
    task: Task,
    block: int,
    digest: str,
    arms: list[str],
    results: Path,
    rules: VerdictRules,
    planned_launches: int = 0,
) -> ExtraBlock:
    """Return the arms that an extra block measures, by the blocks of its cohort before it; arms
    launched in the block before, under other rules for example, stay in it. ``planned_launches``
    are those of all first blocks of the campaign, for its budget.

    That these blocks were looked at is written to the journal. Raises BadInput if a block's record
    is missing.
    """
    place = place_in_cohort(block)
    folders = [
        block_folder(results, task.commit, number)
        for number in decided_by(block, task.protocol.blocks)
    ]
    blocks = [read_block(folder / BLOCK_RECORD) for folder in folders]
    runs = grade_commit(task, blocks, arms, rules.min_blocks).runs
    wanted, looks = Worth(), planned(task.protocol, journal_of_looks.read(results, task.commit))
    if place <= task.protocol.last_block:
        wanted = further(task, runs, arms, rules, looks)
        journal_of_looks.record(results, task.commit, task.protocol, [place - 1])
    if not budget.allows(
        task, wanted, partial(_others, results, task, rules), results, planned_launches
    ):
        wanted = Worth()
    pair = place <= task.protocol.aa_blocks
    needed = {*BESIDE, *wanted.arms} if wanted.arms else set(AA_PAIR) if pair else set()
    launched = resume.finished_launches(results, task.commit, block, digest).keys()
    if BASELINE not in needed | launched:  # begun without it: no pair can be formed
        return ExtraBlock((), "")
    reason = f"{', '.join(wanted.arms)} open after {place - 1} blocks" if wanted.arms else ""
    reason = reason or ("an A/A pair" if pair else "")
    chosen = tuple(arm for arm in arms if arm in needed or arm in launched)
    return ExtraBlock(chosen, reason if needed - launched else "")


def further(
    task: Task,
    runs: Sequence[GradedRun],
    arms: Sequence[str],
    rules: VerdictRules,
    looks: Looks,
) -> Worth:
    """Return what further blocks of a task are worth after so many ``runs``; seconds are GPU
    seconds."""
    found = open_arms(task, runs, arms, rules, looks)
    if not found or task.workload is None:
        return Worth()
    costs = costs_of(runs) or default_costs(task.workload.load)
    each = max(1, task.workload.gpus) * costs.of_launch(task.protocol.windows)
    beside = len({*BESIDE} & {*arms} - {arm.arm for arm in found})
    return worth(
        found,
        looks,
        confidence=rules.confidence,
        times=TABLE,
        launch_seconds=each,
        block_seconds=beside * each + max(1, task.workload.gpus) * costs.start,
    )


def _others(results: Path, task: Task, rules: VerdictRules) -> Iterator[Worth]:
    """Yield what further blocks of the campaign's finished tasks were worth after their first
    ones."""
    for other, runs in finished(results):
        first = [r for r in runs if place_in_cohort(r.block) <= task.protocol.blocks]
        for cohort in {cohort_of(run.block) for run in first}:
            own = [run for run in first if cohort_of(run.block) == cohort]
            if other.commit != task.commit:
                arms = [*dict.fromkeys(run.arm for run in own)]
                yield further(other, own, arms, rules, planned(other.protocol))
