"""Test the intervals on identical code: do A/A pairs scatter more than the intervals allow?

An interval takes the spread of its own blocks for the noise of a launch. A/A pairs, two launches of
the baseline in one block, say if that is all the noise there is: over the tasks of one subject and
metric, the mean square of their log ratios is held against the mean variance of the arms' own
(F test, degrees of freedom by Satterthwaite 1946). If it is larger with ``CONFIDENCE``, by
``FEWEST_PAIRS`` or more, all intervals of that metric are widened by the root of the ratio.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from scipy import special

from patchbench.records import AA, BASELINE, Metrics, Task
from patchbench.verdicts.launch_values import aa_logs, pairs
from patchbench.verdicts.statistics import deviation

CONFIDENCE = 0.99
FEWEST_PAIRS = 3  # one pair that differs is an accident, of the machine or of chance
Place = tuple[str, str]  # subject, metric


class Sample(NamedTuple):
    """A task's A/A log ratios, and the variance of its arms' own with its degrees of freedom."""

    aa: list[float]
    variance: float
    freedom: int


class Scatter(NamedTuple):
    """The scatter of identical code, times that of the intervals' model (standard deviations), with
    the bound that it exceeds with ``CONFIDENCE``, and the A/A pairs that it comes from."""

    times: float
    at_least: float
    pairs: int

    @property
    def widen(self) -> float:
        """The factor on all intervals: above 1 only if shown."""
        return self.times if self.at_least > 1 and self.pairs >= FEWEST_PAIRS else 1.0


def scatters(tasks: Mapping[str, Task], metrics: Mapping[str, Metrics]) -> dict[Place, Scatter]:
    """Return the scatter of identical code by subject and metric, where it is known: from primary
    and guard metrics with A/A pairs."""
    gathered: dict[Place, list[Sample]] = defaultdict(list)
    for commit, found in metrics.items():
        task = tasks[commit]
        for metric in {task.primary_metric, *task.guard_metrics}:
            sample = _sample(found, metric)
            if sample is not None:
                gathered[task.subject.name, metric].append(sample)
    return {place: scatter(samples) for place, samples in gathered.items()}


def scatter(samples: Iterable[Sample]) -> Scatter:
    """Return the scatter of identical code over some tasks, each with a variance above 0."""
    samples = list(samples)
    # What the A/A squares sum to, on average, if the model holds: one part for each task.
    parts = [len(sample.aa) * sample.variance for sample in samples]
    expected = sum(parts)
    squares = math.fsum(value**2 for sample in samples for value in sample.aa)
    above = expected**2 / sum(
        part**2 / len(sample.aa) for part, sample in zip(parts, samples, strict=True)
    )
    below = expected**2 / sum(
        part**2 / sample.freedom for part, sample in zip(parts, samples, strict=True)
    )
    ratio = squares / expected
    quantile = float(special.fdtri(above, below, CONFIDENCE))
    count = sum(len(sample.aa) for sample in samples)
    return Scatter(math.sqrt(ratio), math.sqrt(ratio / quantile), count)


def _sample(metrics: Metrics, metric: str) -> Sample | None:
    """Return a task's sample; None without A/A pairs, or without an arm that has a spread."""
    aa = aa_logs(metrics.runs, metric)
    arms = {run.arm for run in metrics.runs} - {BASELINE, AA}
    logs = [pairs(metrics.runs, arm, BASELINE, metric).logs(metric) for arm in sorted(arms)]
    logs = [values for values in logs if len(values) >= 2]
    if not aa or not logs:
        return None
    weights = [len(values) - 1 for values in logs]
    squares = [w * deviation(v) ** 2 for w, v in zip(weights, logs, strict=True)]
    variance = math.fsum(squares) / sum(weights)
    # All arms share the baseline's launches, so more arms don't make the variance more certain.
    return Sample(aa, variance, max(weights)) if variance > 0 else None
