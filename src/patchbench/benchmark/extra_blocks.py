"""What a block beyond the first ones measures: asked by its job, from the raw files of the task's
first blocks, so that one invocation goes on while an arm is open.

GPU time goes to what is open: the arms that still need the block, with the baseline and the human's
commit that they are held against. A block that no arm needs can still hold an A/A pair.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from patchbench.benchmark import resume
from patchbench.blocks import decided_by, place_in_cohort
from patchbench.grading import commit_result
from patchbench.grading.run_folder import BLOCK_RECORD, block_folder
from patchbench.records import AA_PAIR, BASELINE, HUMAN, Block, Task
from patchbench.system.files import read_json

if TYPE_CHECKING:
    from patchbench.config import VerdictRules


class Wanted(NamedTuple):
    """The arms of a block in the order of the task's, none if nobody wants it, and why, in a line;
    that is empty if all of them were launched before."""

    arms: tuple[str, ...]
    why: str


def wanted(
    task: Task, block: int, digest: str, arms: list[str], results: Path, rules: VerdictRules
) -> Wanted:
    """What a block measures that is not among the first ones. The answer follows from the task's
    first blocks alone (see ``extension``), whichever other block has run meanwhile; what was
    measured of the block once, under other rules say, stays in it.

    Raises BadInput if a first block's record is missing.
    """
    from patchbench.verdicts.open_arms import undecided  # 0.4 s of scipy, for those who get here

    first = decided_by(block, task.protocol.blocks)
    folders = [block_folder(results, task.commit, number) for number in first]
    blocks = [read_json(folder / BLOCK_RECORD, Block) for folder in folders]
    graded = commit_result.parse(task, blocks, arms, rules.min_blocks)
    place = place_in_cohort(block)
    open_ = [arm for arm in undecided(task, graded.runs, arms, rules) if arm.blocks >= place]
    pair = place <= task.protocol.aa_blocks
    asked = _launched([arm.arm for arm in open_], pair=pair)
    known = resume.finished(results, task.commit, block, digest)
    why = "; ".join(arm.reason for arm in open_) or ("an A/A pair" if pair else "")
    if BASELINE not in asked | known.keys():
        return Wanted((), "")  # begun once without it: nothing can be paired
    chosen = tuple(arm for arm in arms if arm in asked or arm in known)
    return Wanted(chosen, why if asked - known.keys() else "")


def _launched(open_: Collection[str], *, pair: bool) -> set[str]:
    """Arms to launch for those that are open: an agent's gain is held against the human's too."""
    if open_:
        return {BASELINE, HUMAN, *open_}
    return set(AA_PAIR) if pair else set()
