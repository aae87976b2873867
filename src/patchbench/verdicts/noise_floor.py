"""Compute the difference of launches of identical code, and the floor that it sets for each
comparison.

The evidence is A/A pairs: two launches of the baseline in one block. With too few of them the floor
would be a draw or two of the noise, often near 0, and identical code would be called different too
often. Then further evidence comes from the blocks themselves: first from the spread of the human's
gain over blocks, which neither drift nor an agent's patch can change; without a human's arm, from
the spread of each arm's launches.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np

from patchbench.grading.launch_value import launch_value
from patchbench.parsing.names import METRICS
from patchbench.records import AA, BASELINE, HUMAN, GradedRun, Metrics, Task
from patchbench.verdicts.guards import measured_costs
from patchbench.verdicts.statistics import log_ratio

# With fewer pairs than this, a 95 % quantile means nothing.
ENOUGH_PAIRS = 5


class Floor(NamedTuple):
    """A noise floor (0.02 is 2 %), the number of pairs of launches that it comes from, and their
    kind."""

    change: float
    pairs: int = 0
    source: str = "the smallest change that counts"


class Pairs(NamedTuple):
    """Values of two arms in the blocks where both were measured."""

    arm: list[float]
    reference: list[float]

    def logs(self, metric: str) -> list[float]:
        """Return log ratios, > 0 is better; values that have no logarithm are no pairs."""
        direction = METRICS[metric].direction
        both = zip(self.arm, self.reference, strict=True)
        return [log_ratio(a, b, direction) for a, b in both if a > 0 and b > 0]


def noise_floor(aa_logs: Sequence[float], smallest: float) -> float:
    """Return the change below which nothing is called different: the 95 % quantile of the absolute
    log ratios of identical code, at least ``smallest``. Both are changes: 0.02 is 2 %."""
    if not aa_logs:
        return smallest
    return max(smallest, math.expm1(float(np.quantile(np.abs(aa_logs), 0.95))))


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


def human_logs(runs: Sequence[GradedRun], metric: str) -> list[float]:
    """Return the distance of the human's log ratio from its mean in each block, scaled to the
    spread of an A/A pair: both are the difference of two launches."""
    logs = pairs(runs, HUMAN, BASELINE, metric).logs(metric)
    if len(logs) < 2:
        return []
    mean = math.fsum(logs) / len(logs)
    return [(value - mean) * math.sqrt(len(logs) / (len(logs) - 1)) for value in logs]


def repeat_logs(runs: Sequence[GradedRun], metric: str) -> list[float]:
    """Return log ratios of any two launches of one arm. They contain the drift between blocks too,
    which makes a floor higher, never lower."""
    logs: list[float] = []
    for arm in sorted({run.arm for run in runs} - {AA}):
        samples = values(runs, arm, metric).values()
        both = list(combinations(samples, 2))
        logs += Pairs([b for _, b in both], [a for a, _ in both]).logs(metric)
    return logs


def floors(
    tasks: Mapping[str, Task], metrics: Mapping[str, Metrics], smallest: float
) -> dict[tuple[str, str], Floor]:
    """Return the floor of each commit's primary and guard metrics and of its costs, from the first
    kind of evidence with enough pairs."""
    gathered: dict[tuple[str, ...], list[float]] = defaultdict(list)
    kinds: dict[tuple[str, str], list[tuple[str, ...]]] = {}
    for commit, commit_metrics in metrics.items():
        task = tasks[commit]
        model = task.workload.model if task.workload else ""
        costs = measured_costs(commit_metrics.runs)
        for metric in {task.primary_metric, *task.guard_metrics, *costs}:
            aa = aa_logs(commit_metrics.runs, metric)
            human = human_logs(commit_metrics.runs, metric)
            evidence = {
                ("A/A pairs of this model", model): aa,
                ("A/A pairs",): aa,
                ("A/A pairs and the human's blocks",): aa + human,
                ("A/A pairs and launches in different blocks",): (
                    aa + human + repeat_logs(commit_metrics.runs, metric)
                ),
            }
            places = [(*kind, task.subject.name, metric) for kind in evidence]
            for place, logs in zip(places, evidence.values(), strict=True):
                gathered[place] += logs
            kinds[commit, metric] = places
    return {key: _floor(places, gathered, smallest) for key, places in kinds.items()}


def _floor(
    places: Sequence[tuple[str, ...]],
    gathered: Mapping[tuple[str, ...], list[float]],
    smallest: float,
) -> Floor:
    """Return the floor from the first evidence with enough pairs, else from the last, which holds
    all."""
    enough = (place for place in places if len(gathered[place]) >= ENOUGH_PAIRS)
    place = next(enough, places[-1])
    logs = gathered[place]
    return Floor(noise_floor(logs, smallest), len(logs), place[0]) if logs else Floor(smallest)
