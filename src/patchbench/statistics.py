"""Statistics of paired blocks: samples in, numbers out. All ratios are handled as logarithms.

Formulas: paired t on log ratios per block (Student), Wilson's score interval for proportions
(Wilson 1927), Benjamini-Hochberg for many hypotheses at once (1995).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from scipy import stats


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


def _exp(value: float) -> float:
    """exp, with infinity where it is beyond a float."""
    try:
        return math.exp(value)
    except OverflowError:
        return math.inf


def paired(logs: Sequence[float], confidence: float) -> Paired:
    """Student's t interval for the mean of log ratios d_i = log(arm_i / baseline_i), one per block
    (signed so that > 0 is better). Raises ValueError without any pair."""
    count = len(logs)
    if count == 0:
        raise ValueError("no pairs")
    mean = math.fsum(logs) / count
    if count == 1:
        return Paired(_exp(mean), 0.0, math.inf, 1.0, 1)
    spread = math.sqrt(math.fsum((d - mean) ** 2 for d in logs) / (count - 1) / count)
    if spread == 0:
        return Paired(_exp(mean), _exp(mean), _exp(mean), float(mean == 0), count)
    reach = float(stats.t.ppf((1 + confidence) / 2, count - 1)) * spread
    p = float(2 * stats.t.sf(abs(mean) / spread, count - 1))
    return Paired(_exp(mean), _exp(mean - reach), _exp(mean + reach), p, count)


def log_ratio(arm: float, baseline: float, direction: str) -> float:
    """log of the gain: > 0 is better, whichever way the metric points."""
    return math.log(arm / baseline) if direction == "higher" else math.log(baseline / arm)


def wilson(successes: int, trials: int, confidence: float = 0.95) -> tuple[float, float]:
    """Wilson's score interval for a proportion; (0, 1) without trials."""
    if trials == 0:
        return 0.0, 1.0
    interval = stats.binomtest(successes, trials).proportion_ci(confidence, method="wilson")
    return float(interval.low), float(interval.high)


def benjamini_hochberg(p_values: Sequence[float]) -> list[float]:
    """p-values adjusted so that a cut at 5 % keeps the false discovery rate below 5 %."""
    if not p_values:
        return []
    return [float(p) for p in stats.false_discovery_control(list(p_values), method="bh")]


def noise_floor(aa_logs: Sequence[float], smallest: float) -> float:
    """The change below which nothing is called different: the 95 % quantile of |A/A log ratio|
    (linear interpolation), at least ``smallest``."""
    if not aa_logs:
        return smallest
    ordered = sorted(abs(value) for value in aa_logs)
    place = 0.95 * (len(ordered) - 1)
    low = math.floor(place)
    high = min(low + 1, len(ordered) - 1)
    quantile = ordered[low] + (place - low) * (ordered[high] - ordered[low])
    return max(smallest, math.expm1(quantile))


def geometric_mean(ratios: Sequence[float]) -> float | None:
    """Geometric mean of ratios; None without any."""
    if not ratios:
        return None
    return math.exp(math.fsum(math.log(ratio) for ratio in ratios) / len(ratios))


def blocks_needed(comparison: Paired, floor: float, confidence: float) -> int | None:
    """About how many blocks would bring the interval's half width down to the floor, from the
    spread seen so far; None if there is no spread to go by, or if it is that narrow already."""
    if comparison.pairs < 2 or not math.isfinite(comparison.half_width):
        return None
    if comparison.half_width <= math.log1p(floor):
        return None  # narrow enough: what is open is open because the gain is near the floor
    t_now = float(stats.t.ppf((1 + confidence) / 2, comparison.pairs - 1))
    sigma = comparison.half_width / t_now * math.sqrt(comparison.pairs)
    count = comparison.pairs
    while count < 10_000:
        reach = float(stats.t.ppf((1 + confidence) / 2, count - 1)) * sigma / math.sqrt(count)
        if reach <= math.log1p(floor):
            return count
        count += 1
    return None
