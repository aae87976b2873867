"""Scores of agents and duels between them, counted from the rows of the campaign's tables.

A patch is *judged* if it was measured, or failed through its agent's fault. Tasks that are
excluded or pending, patches that never came, and failures that others caused are not.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from typing import Any, NamedTuple

from patchbench.records import HUMAN
from patchbench.verdicts.rule import GAINED
from patchbench.verdicts.statistics import (
    bootstrap,
    geometric_mean,
    holm,
    mcnemar,
    wilcoxon,
    wilson,
)

Row = Mapping[str, Any]

MISSING = "patch.missing"
NOT_COUNTED = ("suspicious", "wrong output")  # a ratio of these stands in no mean
# From so many commits on the bootstrap over commits is sound.
ENOUGH_COMMITS = 30


class Rate(NamedTuple):
    """A proportion with its numerator, denominator and 95 % Wilson interval."""

    part: int
    whole: int
    low: float
    high: float

    @property
    def share(self) -> float | None:
        """0 to 1, None of nothing."""
        return self.part / self.whole if self.whole else None


class Size(NamedTuple):
    """A geometric mean of ratios over commits, with its 95 % bootstrap interval over commits."""

    ratio: float | None
    low: float | None
    high: float | None
    commits: int

    @property
    def rough(self) -> bool:
        """Whether there are too few commits to trust the interval."""
        return self.commits < ENOUGH_COMMITS


class Score(NamedTuple):
    """One agent's three rates and two sizes. ``human_reproduced`` counts only tasks on which the
    human's own gain was seen. In ``all_planned`` what failed through the agent's fault, never came,
    or is not counted as a gain stands as 1.00x; in ``measured_only`` it is left out."""

    agent: str
    success: Rate
    faster: Rate
    human: Rate
    human_reproduced: Rate
    measured_only: Size
    all_planned: Size
    verdicts: dict[str, int]
    to_review: int


class Split(NamedTuple):
    """Commits on which only one of two agents succeeded, and how likely so uneven a split is if
    they are equally good (exact McNemar; ``p_adjusted`` over all duels, Holm)."""

    first: int
    second: int
    p: float
    p_adjusted: float


class Duel(NamedTuple):
    """Two agents on the commits for which both were judged. ``size`` is the geometric mean of first
    over second where both were measured; ``size_p`` of Wilcoxon's signed-rank test."""

    first: str
    second: str
    commits: int
    success: Split
    faster: Split
    size: Size
    size_p: float
    size_p_adjusted: float


def rate(part: int, whole: int) -> Rate:
    """A proportion with its interval."""
    return Rate(part, whole, *wilson(part, whole))


def size(ratios: Sequence[float]) -> Size:
    """A geometric mean with its interval."""
    low, high = bootstrap(ratios) or (None, None)
    return Size(geometric_mean(ratios), low, high, len(ratios))


def is_judged(outcome: Row) -> bool:
    """Whether an outcome says something of the agent."""
    if outcome["status"] == "measured":
        return True
    charged = outcome["status"] == "failed" and outcome["blame"] == "agent"
    return bool(charged and outcome["cause"] != MISSING)


def is_counted(outcome: Row) -> bool:
    """Whether a measured patch's ratio may stand in a mean."""
    return outcome["status"] == "measured" and outcome["verdict"] not in NOT_COUNTED


def score(agent: str, outcomes: Iterable[Row], comparisons: Iterable[Row]) -> Score:
    """One agent's score from the tables of outcomes and comparisons."""
    comparisons = list(comparisons)
    mine = {row["commit"]: row for row in outcomes if row["arm"] == agent}
    ratios = _ratios(agent, mine, comparisons)
    judged = [row for row in mine.values() if is_judged(row)]
    never = [row for row in mine.values() if row["cause"] == MISSING]
    flat = [row for row in (*judged, *never) if not is_counted(row)]
    known = {
        row["commit"]
        for row in comparisons
        if row["arm"] == HUMAN and row["role"] == "primary" and row["verdict"] in GAINED
    }
    gone = [row for row in judged if row["commit"] in known]
    return Score(
        agent=agent,
        success=rate(sum(row["status"] == "measured" for row in judged), len(judged)),
        faster=rate(sum(row["verdict"] == "faster" for row in judged), len(judged)),
        human=rate(sum(bool(row["at_least_human"]) for row in judged), len(judged)),
        human_reproduced=rate(sum(bool(row["at_least_human"]) for row in gone), len(gone)),
        measured_only=size(list(ratios.values())),
        all_planned=size([*ratios.values(), *[1.0] * len(flat)]),
        verdicts=dict(Counter(row["verdict"] for row in judged)),
        to_review=sum(row.get("review") is not None for row in judged),
    )


def _ratios(agent: str, mine: Mapping[str, Row], comparisons: Iterable[Row]) -> dict[str, float]:
    """Ratios to the baseline by commit, of those that count."""
    return {
        row["commit"]: float(row["ratio"])
        for row in comparisons
        if row["arm"] == agent and row["role"] == "primary" and is_counted(mine[row["commit"]])
    }


def duels(agents: Sequence[str], outcomes: Iterable[Row], comparisons: Iterable[Row]) -> list[Duel]:
    """Every two agents against each other, with p-values adjusted over all pairs."""
    outcomes, comparisons = list(outcomes), list(comparisons)
    fought = [_duel(a, b, outcomes, comparisons) for a, b in combinations(agents, 2)]
    success = holm([duel.success.p for duel in fought])
    faster = holm([duel.faster.p for duel in fought])
    sizes = holm([duel.size_p for duel in fought])
    return [
        duel._replace(
            success=duel.success._replace(p_adjusted=success[i]),
            faster=duel.faster._replace(p_adjusted=faster[i]),
            size_p_adjusted=sizes[i],
        )
        for i, duel in enumerate(fought)
    ]


def _duel(first: str, second: str, outcomes: list[Row], comparisons: list[Row]) -> Duel:
    rows = {
        agent: {row["commit"]: row for row in outcomes if row["arm"] == agent}
        for agent in (first, second)
    }
    a, b = rows[first], rows[second]
    common = [c for c in a if c in b and is_judged(a[c]) and is_judged(b[c])]
    x, y = _ratios(first, a, comparisons), _ratios(second, b, comparisons)
    gains = [x[commit] / y[commit] for commit in common if commit in x and commit in y]
    p = wilcoxon([math.log(gain) for gain in gains])
    both = [(a[commit], b[commit]) for commit in common]
    return Duel(
        first=first,
        second=second,
        commits=len(common),
        success=split([(m["status"] == "measured", o["status"] == "measured") for m, o in both]),
        faster=split([(m["verdict"] == "faster", o["verdict"] == "faster") for m, o in both]),
        size=size(gains),
        size_p=p,
        size_p_adjusted=p,
    )


def split(successes: Iterable[tuple[bool, bool]]) -> Split:
    """On how many commits only the first of two succeeded, and only the second."""
    found = Counter(successes)
    only_first, only_second = found[True, False], found[False, True]
    p = mcnemar(only_first, only_second)
    return Split(only_first, only_second, p, p)
