"""What further blocks of a task are worth: arms that they are expected to decide, per GPU second.

With a budget, tasks compete: a task gets further blocks if those of all tasks seen so far that are
worth at least as much fit into the share of the budget that has become free. So a task is never
compared with what is not measured yet, and blocks that would decide little leave the rest to later
tasks.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from patchbench.verdicts.looks import Looks
from patchbench.verdicts.power import Design, chance_to_decide

# An arm that all planned blocks would decide in fewer cases than this gets none.
LEAST_CHANCE = 0.1


class OpenArm(NamedTuple):
    """An arm without a verdict: blocks that count, blocks that the plan has left, mean and standard
    deviation of its log ratios, and the margin (0.01 is 1 %)."""

    arm: str
    pairs: int
    left: int
    mean: float
    sd: float
    margin: float


class Worth(NamedTuple):
    """Further blocks of a task: the arms that get them, how many pay most, the seconds that these
    take, and the verdicts expected of them."""

    arms: tuple[str, ...] = ()
    blocks: int = 0
    seconds: float = 0.0
    verdicts: float = 0.0

    @property
    def rate(self) -> float:
        """Verdicts per second."""
        return self.verdicts / self.seconds if self.seconds else 0.0


def worth(
    open_arms: Sequence[OpenArm],
    looks: Looks,
    *,
    confidence: float,
    times: float,
    launch_seconds: float,
    block_seconds: float,
) -> Worth:
    """Return what further blocks are worth. An open arm's launch takes ``launch_seconds``, the rest
    of a block (baseline, human, scoring) ``block_seconds``. Empty if no arm has a fair chance."""

    def chances(arm: OpenArm) -> list[float]:
        designs = [
            Design(blocks, looks, arm.margin, confidence, times)
            for blocks in range(arm.pairs + 1, arm.pairs + arm.left + 1)
        ]
        return [float(chance_to_decide(arm.mean, arm.sd, arm.pairs, one)) for one in designs]

    after = {arm.arm: chances(arm) for arm in open_arms if arm.pairs >= 2}
    fair = {name: of for name, of in after.items() if of and max(of) >= LEAST_CHANCE}
    if not fair:
        return Worth()
    most = max(map(len, fair.values()))
    each = block_seconds + len(fair) * launch_seconds
    verdicts = [sum(of[min(n, len(of)) - 1] for of in fair.values()) for n in range(1, most + 1)]
    best = int(np.argmax([gained / n for n, gained in enumerate(verdicts, 1)])) + 1
    return Worth(tuple(fair), best, best * each, verdicts[best - 1])


def is_affordable(one: Worth, others: Sequence[Worth], free_seconds: float) -> bool:
    """Return True if the blocks of a task and of all others that are worth at least as much take no
    more than the seconds that are free."""
    better = sum(other.seconds for other in others if other.rate >= one.rate)
    return one.seconds > 0 and one.seconds + better <= free_seconds
