"""Pair the values of two arms by block: one value per launch, one log ratio per block."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from decimal import Decimal
from statistics import median
from typing import NamedTuple

from patchbench.grading.launch_value import launch_value
from patchbench.parsing.names import METRICS
from patchbench.records import AA, BASELINE, GradedRun
from patchbench.verdicts.statistics import log_ratio


class Pairs(NamedTuple):
    """Values of two arms in the blocks where both were measured."""

    arm: list[float]
    reference: list[float]

    def logs(self, metric: str) -> list[float]:
        """Return log ratios, > 0 is better; values that have no logarithm are no pairs."""
        direction = METRICS[metric].direction
        both = zip(self.arm, self.reference, strict=True)
        return [log_ratio(a, b, direction) for a, b in both if a > 0 and b > 0]


def value_of(run: GradedRun, metric: str) -> float | None:
    """Return a launch's one value of a metric, or None if it has none."""
    if run.status != "measured":
        return None
    if run.windows and all(metric in window for window in run.windows):
        return launch_value([window[metric] for window in run.windows])
    return run.metrics.get(metric)


def values(runs: Iterable[GradedRun], arm: str, metric: str) -> dict[int, float]:
    """Return an arm's value in each block in which it was measured."""
    by_block = {run.block: value_of(run, metric) for run in runs if run.arm == arm}
    return {block: value for block, value in sorted(by_block.items()) if value is not None}


def pairs(runs: Sequence[GradedRun], arm: str, reference: str, metric: str) -> Pairs:
    """Pair two arms' values of a metric by block."""
    own, other = values(runs, arm, metric), values(runs, reference, metric)
    common = [block for block in own if block in other]
    return Pairs([own[b] for b in common], [other[b] for b in common])


def aa_logs(runs: Sequence[GradedRun], metric: str) -> list[float]:
    """Return log ratios of the A/A launch to the baseline's, one per A/A block."""
    return pairs(runs, AA, BASELINE, metric).logs(metric)


def attempted(runs: Iterable[GradedRun], arm: str, reference: str) -> int:
    """Return the number of blocks that launched both arms, measured or not."""
    blocks: dict[str, set[int]] = {arm: set(), reference: set()}
    for run in runs:
        if run.arm in blocks:
            blocks[run.arm].add(run.block)
    return len(blocks[arm] & blocks[reference])


def rounding(runs: Iterable[GradedRun], both: Pairs, metric: str) -> float:
    """Return the standard deviation that rounding alone gives a block's log ratio: a step's
    uniform error (step / sqrt(12)) in both launches. The step is the last decimal place in which
    any window's value has a digit: 1 for whole milliseconds."""
    places = [
        int(Decimal(repr(value)).normalize().as_tuple().exponent)
        for run in runs
        if run.status == "measured"
        for value in _window_values(run, metric)
        if value > 0 and math.isfinite(value)
    ]
    sizes = [median(side) for side in both if side]
    if not places or min(sizes, default=0.0) <= 0:
        return 0.0
    step = 10.0 ** min(places)
    return step / math.sqrt(12) * math.hypot(*(1 / size for size in sizes))


def _window_values(run: GradedRun, metric: str) -> list[float]:
    found = [float(window[metric]) for window in run.windows if metric in window]
    return found or [float(value) for name, value in run.metrics.items() if name == metric]
