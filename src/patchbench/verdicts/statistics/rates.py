"""Proportions and many tests at once.

Wilson's score interval (Wilson 1927), McNemar's exact test for paired proportions (McNemar 1947),
Benjamini-Hochberg (1995) for a table of comparisons, Holm (1979) for a few that must all hold.
scipy.stats is imported where it is used: it takes half a second that a block's job need not spend.
"""

from __future__ import annotations

from collections.abc import Sequence


def wilson(successes: int, trials: int, confidence: float = 0.95) -> tuple[float, float]:
    """Wilson's score interval for a proportion; (0, 1) without trials."""
    if trials == 0:
        return 0.0, 1.0
    from scipy import stats

    interval = stats.binomtest(successes, trials).proportion_ci(confidence, method="wilson")
    return float(interval.low), float(interval.high)


def mcnemar(only_first: int, only_second: int) -> float:
    """Two-sided exact p that two agents are equally good, from the commits on which only one of
    them succeeded; those that tell nothing apart don't count. 1 without any."""
    if only_first + only_second == 0:
        return 1.0
    from scipy import stats

    return float(stats.binomtest(only_first, only_first + only_second).pvalue)


def benjamini_hochberg(p_values: Sequence[float]) -> list[float]:
    """p-values adjusted so that a cut at 5 % keeps the false discovery rate below 5 %."""
    if not p_values:
        return []
    from scipy import stats

    return [float(p) for p in stats.false_discovery_control(list(p_values), method="bh")]


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values adjusted so that a cut at 5 % makes any false claim at all with at most 5 %."""
    adjusted = [0.0] * len(p_values)
    worst = 0.0
    for place, index in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        worst = max(worst, min(1.0, (len(p_values) - place) * p_values[index]))
        adjusted[index] = worst
    return adjusted
