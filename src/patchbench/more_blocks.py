"""Whether a block beyond the first ones is wanted: asked by its job, from the raw files of the
task's first blocks, so that one invocation goes on while an interval is wide."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from patchbench import metrics
from patchbench.cohorts import decided_by, place_in_cohort
from patchbench.files import read_json
from patchbench.history import block_folder
from patchbench.records import Block, Task

if TYPE_CHECKING:
    from patchbench.campaign import Statistics


def reason(task: Task, block: int, arms: list[str], results: Path, rules: Statistics) -> str:
    """Why this block is wanted, in a line; empty if it isn't. The answer follows from the task's
    first blocks alone (see ``extension``), whichever other block has run meanwhile.

    Raises BadInput if a first block's record is missing.
    """
    from patchbench.extension import undecided  # 0.4 s of scipy, for those who get here

    first = decided_by(block, task.protocol.blocks)
    folders = [block_folder(results, task.commit, number) for number in first]
    blocks = [read_json(folder / "block.json", Block) for folder in folders]
    graded = metrics.parse(task, blocks, arms, rules.min_blocks)
    open_ = undecided(task, graded.runs, arms, rules)
    return "; ".join(arm.reason for arm in open_ if arm.blocks >= place_in_cohort(block))
