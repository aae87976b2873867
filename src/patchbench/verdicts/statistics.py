"""Compute numbers from samples: no records, no files, no rules. Ratios are handled as logarithms.

Sources: paired t test (Student 1908), Wilson's score interval (1927), McNemar's exact test (1947),
Wilcoxon's signed-rank test (1945), Holm (1979), percentile bootstrap (Efron 1979), false discovery
rate (Benjamini and Hochberg 1995).

``scipy.stats`` is imported where it is needed, which is seldom: it costs half a second.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import special

SEED, RESAMPLES = 20260101, 10_000
EXACT = 50  # differences up to which the signed-rank test counts all signs


class Paired(NamedTuple):
    """A paired comparison. ``ratio`` > 1 is better; ``low`` and ``high`` bound it.

    With fewer than two pairs there is a ratio but no interval (infinite), and p is 1.
    """

    ratio: float
    low: float
    high: float
    p: float
    pairs: int

    @property
    def half_width(self) -> float:
        """Half the interval's width on the log scale: about the relative error."""
        if self.low <= 0 or not math.isfinite(self.high):
            return math.inf
        return (math.log(self.high) - math.log(self.low)) / 2

    @property
    def has_spread(self) -> bool:
        """True if the blocks have a spread."""
        return self.pairs >= 2 and math.isfinite(self.half_width)


def log_ratio(arm: float, baseline: float, direction: str) -> float:
    """Return the log of the gain: > 0 is better, whichever way the metric points."""
    return math.log(arm / baseline) if direction == "higher" else math.log(baseline / arm)


def paired(
    logs: Sequence[float], confidence: float, *, least: float = 0.0, widen: float = 1.0
) -> Paired:
    """Return Student's t interval for the mean of log ratios, one per block, > 0 is better. Their
    standard deviation is taken as ``least`` if it is smaller, and then times ``widen``. Raises
    ValueError without any pair."""
    count = len(logs)
    if count == 0:
        raise ValueError("no pairs")
    mean = math.fsum(logs) / count
    if count == 1:
        return Paired(_exp(mean), 0.0, math.inf, 1.0, 1)
    return _interval(mean, widen * max(least, deviation(logs)), count, confidence)


def deviation(logs: Sequence[float]) -> float:
    """Return the sample's standard deviation, of two values or more."""
    mean = math.fsum(logs) / len(logs)
    return math.sqrt(math.fsum((d - mean) ** 2 for d in logs) / (len(logs) - 1))


def projected(comparison: Paired, confidence: float, pairs: int, later: float) -> Paired:
    """Return the comparison, whose interval has the confidence given, after so many pairs, if mean
    and spread stayed as they are, with an interval of confidence ``later``. Raises ValueError if it
    has no spread."""
    if not comparison.has_spread:
        raise ValueError("no spread to go by")
    return _interval(math.log(comparison.ratio), spread(comparison, confidence), pairs, later)


def spread(comparison: Paired, confidence: float) -> float:
    """Return the standard deviation of the log ratios, computed back from their interval."""
    reach = _t(confidence, comparison.pairs)
    return comparison.half_width / reach * math.sqrt(comparison.pairs)


def _interval(mean: float, sigma: float, count: int, confidence: float) -> Paired:
    error = sigma / math.sqrt(count)
    if error == 0:  # values without any digit that could differ: no evidence of their precision
        return Paired(_exp(mean), 0.0, math.inf, 1.0, count)
    reach = _t(confidence, count) * error
    p = 2 * float(special.stdtr(count - 1, -abs(mean) / error))
    return Paired(_exp(mean), _exp(mean - reach), _exp(mean + reach), p, count)


def _t(confidence: float, pairs: int) -> float:
    return float(special.stdtrit(pairs - 1, (1 + confidence) / 2))


def _exp(value: float) -> float:
    try:
        return math.exp(value)
    except OverflowError:
        return math.inf


def wilson(successes: int, trials: int, confidence: float = 0.95) -> tuple[float, float]:
    """Return Wilson's score interval for a proportion; (0, 1) without trials."""
    if trials == 0:
        return 0.0, 1.0
    z = float(special.ndtri((1 + confidence) / 2))
    share, whole = successes / trials, 2 * (trials + z**2)
    centre = (2 * trials * share + z**2) / whole
    reach = z * math.sqrt(4 * trials * share * (1 - share) + z**2) / whole
    low = centre - reach if successes else 0.0
    return low, centre + reach if successes < trials else 1.0


def mcnemar(only_first: int, only_second: int) -> float:
    """Return the two-sided exact p of two agents being equally good, from the commits on which only
    one of them succeeded; 1 without any."""
    count = only_first + only_second
    return min(1.0, 2 * float(special.bdtr(min(only_first, only_second), count, 0.5)))


def wilcoxon(differences: Sequence[float]) -> float:
    """Return the two-sided p of the signed-rank test that differences are symmetric around 0. Zeros
    are dropped; 1 if nothing is left. Exact up to EXACT differences, with ties too."""
    values = np.asarray([value for value in differences if value != 0], dtype=float)
    if len(values) > EXACT:
        from scipy import stats

        return float(stats.wilcoxon(values).pvalue)
    _, place, ties = np.unique(np.abs(values), return_inverse=True, return_counts=True)
    ranks = (2 * np.cumsum(ties) - ties + 1)[place]  # twice the mean rank of equal ones: whole
    ways = np.ones(1)  # to give signs so that the ranks of the positive ones have this sum
    for rank in ranks:
        ways = np.pad(ways, (0, rank)) + np.pad(ways, (rank, 0))
    positive = int(ranks[values > 0].sum())
    tail = min(ways[: positive + 1].sum(), ways[positive:].sum())
    return min(1.0, 2 * float(tail / ways.sum()))


def benjamini_hochberg(p_values: Sequence[float]) -> list[float]:
    """Return p-values adjusted so that a cut at 5 % keeps the false discovery rate below 5 %."""
    order = np.argsort(p_values, kind="stable")[::-1]
    ranks = np.arange(len(p_values), 0, -1)
    adjusted = np.empty(len(p_values))
    scaled = np.asarray(p_values, dtype=float)[order] * len(p_values) / ranks
    adjusted[order] = np.minimum.accumulate(np.minimum(1.0, scaled))
    return [float(p) for p in adjusted]


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values adjusted so that a cut at 5 % makes any false claim in at most 5 %."""
    order = np.argsort(p_values, kind="stable")
    times = np.arange(len(p_values), 0, -1)
    adjusted = np.empty(len(p_values))
    scaled = np.minimum(1.0, times * np.asarray(p_values, dtype=float)[order])
    adjusted[order] = np.maximum.accumulate(scaled)
    return [float(p) for p in adjusted]


def shrunk(logs: Sequence[float], errors: Sequence[float]) -> list[float]:
    """Return log gains drawn towards their common mean, each by its own error: the means of their
    posterior if gains are normal, with a variance by the method of moments (DerSimonian and Laird
    1986), empirical Bayes (Efron and Morris 1975). Errors are standard errors above 0; each is
    averaged with those of all, because from few blocks they are estimates, and what is called
    faster has those that came out too small."""
    y, squares = np.asarray(logs, dtype=float), np.square(np.asarray(errors, dtype=float))
    squares = (squares + squares.mean()) / 2
    weights = 1 / squares
    mean = float(np.average(y, weights=weights))
    excess = float(weights @ (y - mean) ** 2) - (len(y) - 1)
    scale = float(weights.sum() - (weights**2).sum() / weights.sum())
    between = max(0.0, excess / scale) if scale > 0 else 0.0
    mean = float(np.average(y, weights=1 / (between + squares)))
    return [float(value) for value in mean + between / (between + squares) * (y - mean)]


def geometric_mean(ratios: Sequence[float]) -> float | None:
    """Return the geometric mean of ratios; None without any."""
    if not ratios:
        return None
    return math.exp(math.fsum(math.log(ratio) for ratio in ratios) / len(ratios))


def bootstrap(ratios: Sequence[float], confidence: float = 0.95) -> tuple[float, float] | None:
    """Return the percentile bootstrap interval of the geometric mean, commits drawn with
    replacement; None with fewer than two ratios. The order of the ratios does not matter. Sound
    from about 30 commits on, too short below that: no verdict uses it."""
    if len(ratios) < 2:
        return None
    logs = np.sort(np.log(np.asarray(ratios, dtype=float)))
    drawn = np.random.default_rng(SEED).integers(0, len(logs), (RESAMPLES, len(logs)))
    tail = (1 - confidence) / 2
    low, high = np.quantile(logs[drawn].mean(axis=1), [tail, 1 - tail])
    return math.exp(low), math.exp(high)
