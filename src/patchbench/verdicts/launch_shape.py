"""Look for what the model of launches leaves out: a trend over a launch's windows, launches of two
kinds, and what the arm before leaves behind. None of it changes a verdict.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from patchbench.verdicts.statistics import deviation, paired

FEWEST = 3  # windows of a launch with a trend; launches that show one
# Findings are looked for on every task and metric, so each must be surer than a verdict.
CONFIDENCE = 0.99
# Distance of two modes' means in standard deviations within them. Normal samples and samples with
# heavy tails of 15 launches or more, cut in two where that fits best, reach it in 1 of 100 cases at
# most; modes 6 deviations apart, with 3 of 10 launches in one, do in 7 of 10 (simulated).
APART = 5.0
FEWEST_IN_MODES = 15
SMALLEST = 0.2  # share of the launches in the smaller mode


class Change(NamedTuple):
    """A ratio with its interval of ``CONFIDENCE``, and the launches that it comes from."""

    ratio: float
    low: float
    high: float
    launches: int

    @property
    def shown(self) -> bool:
        """True if the interval excludes no change."""
        return self.low > 1 or self.high < 1


class Modes(NamedTuple):
    """Launches of two kinds: the ratio of the higher to the lower mode, and their numbers."""

    ratio: float
    lower: int
    higher: int


class Launch(NamedTuple):
    """A launch's place in the order: its block, arm, the arm before it in the block (empty for the
    first), and its value."""

    block: int
    arm: str
    before: str
    value: float


def trend(launches: Iterable[Sequence[float]]) -> Change | None:
    """Return the change from a launch's first window to its last, by a line through the logarithms
    of each launch's windows; None with fewer than ``FEWEST`` launches of as many windows."""
    rises = []
    for windows in launches:
        if len(windows) < FEWEST or min(windows) <= 0:
            continue
        middle = (len(windows) - 1) / 2
        places = [place - middle for place in range(len(windows))]
        slope = math.fsum(p * math.log(v) for p, v in zip(places, windows, strict=True))
        slope /= math.fsum(p * p for p in places)
        rises.append(slope * (len(windows) - 1))
    return _change(rises)


def modes(residuals: Sequence[float]) -> Modes | None:
    """Return the two modes of launches' residuals (logarithms, each less its arm's mean), cut where
    they scatter least within, if their means lie ``APART``; else None, and with few launches."""
    if len(residuals) < FEWEST_IN_MODES:
        return None
    ordered = sorted(residuals)
    fewest = math.ceil(SMALLEST * len(ordered))
    cuts = [(ordered[:at], ordered[at:]) for at in range(fewest, len(ordered) - fewest + 1)]
    low, high = min(cuts, key=lambda sides: _squares(sides[0]) + _squares(sides[1]))
    within = math.sqrt((_squares(low) + _squares(high)) / (len(ordered) - 2))
    apart = math.fsum(high) / len(high) - math.fsum(low) / len(low)
    return Modes(math.exp(apart), len(low), len(high)) if apart > APART * within else None


def _squares(values: Sequence[float]) -> float:
    return (len(values) - 1) * deviation(values) ** 2


def residuals(launches: Sequence[Launch]) -> list[float]:
    """Return each launch's logarithm less the means of its arm and of its block, in their order;
    values have to be above 0."""
    logs = [math.log(launch.value) for launch in launches]
    arms, blocks = _means(launches, logs, "arm"), _means(launches, logs, "block")
    whole = math.fsum(logs) / len(logs) if logs else 0.0
    return [
        value - arms[launch.arm] - blocks[launch.block] + whole
        for launch, value in zip(launches, logs, strict=True)
    ]


def carry_over(launches: Sequence[Launch]) -> dict[str, Change]:
    """Return by arm how launches right after it differ from their own arm's and block's others,
    where there are ``FEWEST`` of them."""
    after: Mapping[str, list[float]] = defaultdict(list)
    for launch, residual in zip(launches, residuals(launches), strict=True):
        if launch.before:
            after[launch.before].append(residual)
    found = {arm: _change(values) for arm, values in after.items()}
    return {arm: change for arm, change in found.items() if change is not None}


def _means(launches: Sequence[Launch], logs: Sequence[float], field: str) -> dict[object, float]:
    grouped: dict[object, list[float]] = defaultdict(list)
    for launch, value in zip(launches, logs, strict=True):
        grouped[getattr(launch, field)].append(value)
    return {key: math.fsum(values) / len(values) for key, values in grouped.items()}


def _change(logs: Sequence[float]) -> Change | None:
    if len(logs) < FEWEST:
        return None
    found = paired(logs, CONFIDENCE)
    return Change(found.ratio, found.low, found.high, found.pairs)
