"""Whether a task's own launches of identical code scatter more than such launches do elsewhere.

The floor can't tell: where it comes from the task's own A/A pairs, the largest of them lies beyond
the 95 % quantile by construction. So the task's pairs are held against launches that are not among
them, by Fisher's F test of two variances.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping
from typing import NamedTuple

from scipy import special

from patchbench.records import Metrics, Task
from patchbench.verdicts.noise_floor import ENOUGH_PAIRS, Floor, aa_logs, human_logs

# So rarely is a steady task called unsteady: once in a campaign of a hundred.
RARE = 0.01


class Spread(NamedTuple):
    """A sum of squares of log ratios, and its degrees of freedom."""

    squares: float = 0.0
    freedom: int = 0

    def __add__(self, other: Spread) -> Spread:  # type: ignore[override]
        return Spread(self.squares + other.squares, self.freedom + other.freedom)

    def without(self, other: Spread) -> Spread:
        return Spread(max(0.0, self.squares - other.squares), self.freedom - other.freedom)


def steady(
    tasks: Mapping[str, Task],
    metrics: Mapping[str, Metrics],
    floors: Mapping[tuple[str, str], Floor],
) -> dict[str, bool | None]:
    """By commit, on its primary metric: True if its A/A pairs stay within the floor or scatter no
    more than identical code does in the rest of the campaign (the other tasks' A/A pairs of the
    subject, with fewer than five of these the human's blocks too); None if it has no A/A pair, or
    nothing to hold it against."""
    own: dict[str, list[float]] = {}
    pairs: dict[tuple[str, str], Spread] = defaultdict(Spread)
    humans: dict[tuple[str, str], Spread] = defaultdict(Spread)
    for commit, found in metrics.items():
        metric, place = tasks[commit].primary_metric, _place(tasks[commit])
        own[commit] = aa_logs(found.runs, metric)
        pairs[place] += _of_pairs(own[commit])
        humans[place] += _of_human(human_logs(found.runs, metric))
    out: dict[str, bool | None] = {}
    for commit, logs in own.items():
        place = _place(tasks[commit])
        floor = floors[commit, tasks[commit].primary_metric]
        if not logs:
            out[commit] = None
        elif all(abs(value) <= math.log1p(floor.change) for value in logs):
            out[commit] = True
        else:
            mine = _of_pairs(logs)
            others = pairs[place].without(mine)
            if others.freedom < ENOUGH_PAIRS:
                others += humans[place]
            out[commit] = _scatter_alike(mine, others)
    return out


def _place(task: Task) -> tuple[str, str]:
    return task.subject.name, task.primary_metric


def _of_pairs(logs: list[float]) -> Spread:
    """Two launches of the same code differ by nothing on the whole: the mean is known."""
    return Spread(math.fsum(value * value for value in logs), len(logs))


def _of_human(logs: list[float]) -> Spread:
    """``human_logs`` are scaled to the spread of a pair, and taken from their own mean."""
    freedom = max(0, len(logs) - 1)
    squares = math.fsum(value * value for value in logs)
    return Spread(squares * freedom / len(logs) if logs else 0.0, freedom)


def _scatter_alike(mine: Spread, others: Spread) -> bool | None:
    if others.freedom < 1:
        return None
    if others.squares == 0:
        return mine.squares == 0
    ratio = (mine.squares / mine.freedom) / (others.squares / others.freedom)
    return bool(special.fdtrc(mine.freedom, others.freedom, ratio) >= RARE)
