"""Arms of a block beyond the first ones, from the raw files of the task's first blocks.

GPU time goes to open arms: those that still need the block, with the baseline and the human's
commit to compare them with. A block that no arm needs can still hold an A/A pair.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from patchbench.benchmark import resume
from patchbench.config import VerdictRules
from patchbench.grading.commit import grade_commit
from patchbench.grading.run_folder import BLOCK_RECORD, block_folder, read_block
from patchbench.ledger import looks
from patchbench.ledger.blocks import decided_by, place_in_cohort
from patchbench.records import AA_PAIR, BASELINE, HUMAN, Task


class ExtraBlock(NamedTuple):
    """Arms of an extra block in the task's order, empty if no arm needs the block. ``reason`` is
    one line, empty if all of the arms were launched before."""

    arms: tuple[str, ...]
    reason: str


def plan_extra_block(
    task: Task, block: int, digest: str, arms: list[str], results: Path, rules: VerdictRules
) -> ExtraBlock:
    """Return the arms that an extra block measures. They follow from the task's first blocks alone
    (see ``verdicts.open_arms``), whichever other blocks have run meanwhile; arms launched in the
    block before, under other rules for example, stay in it.

    That the first blocks were looked at is written to the journal. Raises BadInput if a first
    block's record is missing.
    """
    from patchbench.verdicts.looks import planned  # 0.4 s of scipy, for extra blocks only
    from patchbench.verdicts.open_arms import undecided

    first = decided_by(block, task.protocol.blocks)
    folders = [block_folder(results, task.commit, number) for number in first]
    blocks = [read_block(folder / BLOCK_RECORD) for folder in folders]
    graded = grade_commit(task, blocks, arms, rules.min_blocks)
    place = place_in_cohort(block)
    taken = planned(task.protocol, looks.read(results, task.commit))
    looks.record(results, task.commit, task.protocol, [task.protocol.blocks])
    found = undecided(task, graded.runs, arms, rules, taken)
    open_arms = [arm for arm in found if arm.blocks >= place]
    pair = place <= task.protocol.aa_blocks
    needed = set(AA_PAIR) if pair else set()
    if open_arms:  # an agent's gain is compared with the human's too
        needed = {BASELINE, HUMAN, *(arm.arm for arm in open_arms)}
    launched = resume.finished_launches(results, task.commit, block, digest).keys()
    if BASELINE not in needed | launched:  # begun without it: no pair can be formed
        return ExtraBlock((), "")
    reason = "; ".join(arm.reason for arm in open_arms) or ("an A/A pair" if pair else "")
    chosen = tuple(arm for arm in arms if arm in needed or arm in launched)
    return ExtraBlock(chosen, reason if needed - launched else "")
