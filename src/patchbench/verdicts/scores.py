"""Rates, sizes and pairwise tests of agents, counted from the tables of outcomes and comparisons.

A patch counts for the rates if it was measured, or failed through its agent's fault. Excluded and
pending tasks, missing patches, and failures through another cause do not.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import combinations
from typing import Any

import msgspec
import numpy as np
import pandas as pd
from scipy import special

from patchbench.records import Record
from patchbench.verdicts.statistics import (
    bootstrap,
    geometric_mean,
    holm,
    mcnemar,
    shrunk,
    wilcoxon,
    wilson,
)

MISSING = "patch.missing"
NOT_COUNTED = ("suspicious", "wrong output")  # a ratio of these stands in no mean
# The bootstrap over commits is sound with this many commits or more.
ENOUGH_COMMITS = 30


class Share(Record, frozen=True, kw_only=True):
    """A proportion with its numerator, denominator and 95 % Wilson interval."""

    part: int
    whole: int
    share: float | None
    low: float
    high: float


class Mean(Record, frozen=True, kw_only=True):
    """A geometric mean of ratios over commits with its 95 % bootstrap interval; ``rough``: too few
    commits to trust the interval."""

    ratio: float | None
    low: float | None
    high: float | None
    commits: int
    rough: bool


class Winners(Record, frozen=True, kw_only=True):
    """The commits that an arm made faster, the geometric mean of their ratios, and the same with
    each ratio drawn towards the mean of all of the arm's: gains are called faster in part because
    noise added to them. None with fewer than three commits measured."""

    commits: int
    ratio: float
    shrunk: float | None


class Pair(Record, frozen=True, kw_only=True):
    """Two agents on the commits that count for the rates of both: the numbers of commits on which
    only one of them gave metrics, or a faster commit, with exact p (McNemar), and the ratio of
    their gains on commits with both measured, first over second (Wilcoxon). Each p is adjusted over
    all pairs (Holm)."""

    first: str
    second: str
    commits: int
    only_first: int
    only_second: int
    p: float
    faster_first: int
    faster_second: int
    faster_p: float
    size: Mean
    size_p: float


def share(part: int, whole: int) -> Share:
    """Return a proportion with its interval."""
    low, high = wilson(part, whole)
    return Share(part=part, whole=whole, share=part / whole if whole else None, low=low, high=high)


def mean(ratios: Iterable[float]) -> Mean:
    """Return the geometric mean of ratios, one per commit, with its interval."""
    values = list(ratios)
    low, high = bootstrap(values) or (None, None)
    few = len(values) < ENOUGH_COMMITS
    return Mean(ratio=geometric_mean(values), low=low, high=high, commits=len(values), rough=few)


def is_missing(outcomes: pd.DataFrame) -> pd.Series[Any]:
    """Mark outcomes without any patch: a lack of coverage, no failure."""
    return (outcomes["status"] == "failed") & (outcomes["cause"] == MISSING)


def is_failed(outcomes: pd.DataFrame) -> pd.Series[Any]:
    """Mark outcomes with a patch and no valid measurement of it."""
    return (outcomes["status"] == "failed") & (outcomes["cause"] != MISSING)


def counts_for_rate(outcomes: pd.DataFrame) -> pd.Series[Any]:
    """Mark outcomes that say something about their agent."""
    charged = is_failed(outcomes) & (outcomes["blame"] == "agent")
    return (outcomes["status"] == "measured") | charged


def counts_for_mean(outcomes: pd.DataFrame) -> pd.Series[Any]:
    """Mark measured patches with a ratio that may stand in a mean."""
    return (outcomes["status"] == "measured") & ~outcomes["verdict"].isin(NOT_COUNTED)


def with_ratios(outcomes: pd.DataFrame, comparisons: pd.DataFrame) -> pd.DataFrame:
    """Return the outcomes with the columns ``ratio``, the ratio to the baseline if it stands in a
    mean, else NaN, and ``error``, the standard error of its logarithm."""
    primary = comparisons[comparisons["role"] == "primary"]
    numbers = primary[["ratio", "low", "high", "level", "pairs"]].astype(float)
    quantiles = special.stdtrit(numbers["pairs"] - 1, (1 + numbers["level"].fillna(0.95)) / 2)
    with np.errstate(all="ignore"):
        errors = np.log(numbers["high"] / numbers["low"]) / 2 / quantiles
    named = primary[["commit", "arm"]].assign(ratio=numbers["ratio"], error=errors)
    joined = outcomes.merge(named, how="left", on=["commit", "arm"])
    return joined.assign(ratio=joined["ratio"].where(counts_for_mean(joined)).astype(float))


def winners(outcomes: pd.DataFrame) -> Winners | None:
    """Return the mean gain of the commits that an arm made faster, from its outcomes with their
    ratios; None if there are none."""
    faster = (outcomes["verdict"] == "faster") & outcomes["ratio"].notna()
    if not faster.any():
        return None
    known = outcomes[outcomes["ratio"].notna() & np.isfinite(outcomes["error"])]
    known = known[known["error"] > 0]
    drawn: float | None = None
    if len(known) >= 3:
        values = shrunk(list(np.log(known["ratio"])), list(known["error"]))
        won = [v for v, word in zip(values, known["verdict"], strict=True) if word == "faster"]
        drawn = float(np.exp(np.mean(won))) if won else None
    ratio = geometric_mean(list(outcomes.loc[faster, "ratio"]))
    return Winners(commits=int(faster.sum()), ratio=ratio or 1.0, shrunk=drawn)


def pairs(agents: Sequence[str], outcomes: pd.DataFrame) -> tuple[Pair, ...]:
    """Compare every two agents, from outcomes with their ratios."""
    rated = outcomes[counts_for_rate(outcomes)]
    rated = rated.assign(
        measured=rated["status"] == "measured", faster=rated["verdict"] == "faster"
    )
    of = {agent: rated[rated["arm"] == agent] for agent in agents}
    all_pairs = [_pair(a, b, of[a].merge(of[b], on="commit")) for a, b in combinations(agents, 2)]
    adjusted = zip(
        holm([pair.p for pair in all_pairs]),
        holm([pair.faster_p for pair in all_pairs]),
        holm([pair.size_p for pair in all_pairs]),
        strict=True,
    )
    return tuple(
        msgspec.structs.replace(pair, p=p, faster_p=faster_p, size_p=size_p)
        for pair, (p, faster_p, size_p) in zip(all_pairs, adjusted, strict=True)
    )


def _pair(first: str, second: str, both: pd.DataFrame) -> Pair:
    gains = (both["ratio_x"] / both["ratio_y"]).dropna()
    measured = split(both["measured_x"], both["measured_y"])
    faster = split(both["faster_x"], both["faster_y"])
    return Pair(
        first=first,
        second=second,
        commits=len(both),
        only_first=measured[0],
        only_second=measured[1],
        p=mcnemar(*measured),
        faster_first=faster[0],
        faster_second=faster[1],
        faster_p=mcnemar(*faster),
        size=mean(gains),
        size_p=wilcoxon(list(np.log(gains))),
    )


def split(first: pd.Series[Any], second: pd.Series[Any]) -> tuple[int, int]:
    """Count the rows on which only the first of two flags is set, and only the second."""
    return int((first & ~second).sum()), int((second & ~first).sum())
