"""A paired comparison: Student's t on the log ratios of blocks (Student 1908)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

# Half a second lighter than scipy.stats: blocks beyond the first look decide with it.
from scipy import special


class Paired(NamedTuple):
    """A paired comparison. ``ratio`` > 1 is better; ``low`` and ``high`` bound it.

    With fewer than two pairs there is a ratio but no interval (infinite) and p is 1.
    """

    ratio: float
    low: float
    high: float
    p: float
    pairs: int

    @property
    def half_width(self) -> float:
        """Half the interval's width on the log scale, about the relative error."""
        if self.low <= 0 or not math.isfinite(self.high):
            return math.inf
        return (math.log(self.high) - math.log(self.low)) / 2

    @property
    def has_spread(self) -> bool:
        """Whether its blocks tell how much they differ."""
        return self.pairs >= 2 and math.isfinite(self.half_width)


def _exp(value: float) -> float:
    """exp, with infinity where it is beyond a float."""
    try:
        return math.exp(value)
    except OverflowError:
        return math.inf


def _t(confidence: float, pairs: int) -> float:
    """How many standard errors the two-sided interval reaches to each side."""
    return float(special.stdtrit(pairs - 1, (1 + confidence) / 2))


def paired(logs: Sequence[float], confidence: float) -> Paired:
    """Student's t interval for the mean of log ratios d_i = log(arm_i / baseline_i), one per block
    (signed so that > 0 is better). Raises ValueError without any pair."""
    count = len(logs)
    if count == 0:
        raise ValueError("no pairs")
    mean = math.fsum(logs) / count
    if count == 1:
        return Paired(_exp(mean), 0.0, math.inf, 1.0, 1)
    sigma = math.sqrt(math.fsum((d - mean) ** 2 for d in logs) / (count - 1))
    return _of(mean, sigma, count, confidence)


def _of(mean: float, sigma: float, count: int, confidence: float) -> Paired:
    """The comparison of so many pairs with this mean and standard deviation."""
    spread = sigma / math.sqrt(count)
    if spread == 0:
        return Paired(_exp(mean), _exp(mean), _exp(mean), float(mean == 0), count)
    reach = _t(confidence, count) * spread
    p = 2 * float(special.stdtr(count - 1, -abs(mean) / spread))
    return Paired(_exp(mean), _exp(mean - reach), _exp(mean + reach), p, count)


def log_ratio(arm: float, baseline: float, direction: str) -> float:
    """log of the gain: > 0 is better, whichever way the metric points."""
    return math.log(arm / baseline) if direction == "higher" else math.log(baseline / arm)


def projected(comparison: Paired, pairs: int, confidence: float) -> Paired:
    """What more pairs would say if mean and spread stayed as they are. ``confidence`` is that of
    the comparison too. Raises ValueError if it has no spread to go by."""
    if not comparison.has_spread:
        raise ValueError("no spread to go by")
    return _of(math.log(comparison.ratio), _sigma(comparison, confidence), pairs, confidence)


def _sigma(comparison: Paired, confidence: float) -> float:
    """Standard deviation of the log ratios, back from their interval."""
    reach = _t(confidence, comparison.pairs)
    return comparison.half_width / reach * math.sqrt(comparison.pairs)


def blocks_to_narrow(comparison: Paired, floor: float, confidence: float) -> int | None:
    """About how many blocks would bring the interval's half width down to the floor, from the
    spread seen so far; None if there is no spread to go by, or if it is that narrow already."""
    if not comparison.has_spread:
        return None
    wanted = math.log1p(floor)
    if comparison.half_width <= wanted:
        return None  # narrow enough: what is open is open because the gain is near the floor
    sigma = _sigma(comparison, confidence)
    for count in range(comparison.pairs, 10_000):
        if _t(confidence, count) * sigma / math.sqrt(count) <= wanted:
            return count
    return None
