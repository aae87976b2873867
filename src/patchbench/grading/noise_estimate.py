"""Noise and costs of launches, estimated from finished ones by the method of moments.

Gains and drift cancel out, so every arm is evidence, not A/A pairs alone. (Variance components of
nested designs: Searle, Casella and McCulloch 1992; how to share time between repetitions at
different levels: Kalibera and Jones 2013, doi 10.1145/2555670.2464160.)
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NamedTuple

import numpy as np

from patchbench.grading.launch_noise import Costs, Noise
from patchbench.grading.launch_value import launch_value
from patchbench.records import AA, BASELINE, GradedRun

JUDGED = "record"  # format of launches in which one process measured all windows


class Squares(NamedTuple):
    """Sums of squares with their degrees of freedom: of windows within launches, and of launches
    without what block and arm add. ``per_launch`` is the share of the windows' variance in a
    launch, weighted by ``between_freedom``. Sums of several tasks add up (``pooled``)."""

    within: float = 0.0
    within_freedom: int = 0
    between: float = 0.0
    between_freedom: int = 0
    per_launch: float = 0.0

    def noise(self, fallback: Noise) -> Noise | None:
        """Return the estimate; None without two comparable launches. Without launches of several
        windows the two kinds of noise can't be told apart: they share what was seen in the ratio
        of ``fallback``."""
        if not self.between_freedom:
            return None
        total, share = self.between / self.between_freedom, self.per_launch / self.between_freedom
        if self.within_freedom:
            window = self.within / self.within_freedom
        else:
            window = total / (share + (fallback.launch / fallback.window) ** 2)
        return Noise(
            window=math.sqrt(window),
            launch=math.sqrt(max(0.0, total - share * window)),
            window_freedom=self.within_freedom,
            launch_freedom=self.between_freedom,
        )


def pooled(squares: Iterable[Squares]) -> Squares:
    """Return the sums over several tasks."""
    return Squares(*(sum(column) for column in zip(Squares(), *squares, strict=True)))


def squares_of(runs: Sequence[GradedRun], metric: str) -> Squares:
    """Return the sums of squares of one task's measured launches. A/A launches count as the
    baseline's; values that have no logarithm are left out."""
    launches = [
        (BASELINE if run.arm == AA else run.arm, run.block, windows)
        for run in runs
        if run.status == "measured" and (windows := window_values(run, metric))
    ]
    logs = [np.log(windows) for _, _, windows in launches]
    within = sum(float(np.square(log - log.mean()).sum()) for log in logs)
    within_freedom = sum(len(log) - 1 for log in logs)
    if len(launches) < 2:
        return Squares(within, within_freedom)
    values = np.array([math.log(launch_value(windows)) for *_, windows in launches])
    factors = (
        _dummies([arm for arm, *_ in launches]),
        _dummies([block for _, block, _ in launches]),
    )
    design = np.hstack(factors)
    fitted, _, rank, _ = np.linalg.lstsq(design, values, rcond=None)
    freedom = len(launches) - int(rank)
    if freedom <= 0:
        return Squares(within, within_freedom)
    between = float(np.square(values - design @ fitted).sum())
    share = float(np.mean([1 / len(log) for log in logs]))
    return Squares(within, within_freedom, between, freedom, freedom * share)


def window_values(run: GradedRun, metric: str) -> tuple[float, ...]:
    """Return a metric of each window of a launch; empty if any has none above 0."""
    windows = run.windows or (run.metrics,)
    values = tuple(window.get(metric, 0.0) for window in windows)
    return values if min(values) > 0 else ()


def _dummies(labels: Sequence[object]) -> np.ndarray:
    known = list(dict.fromkeys(labels))
    return np.array([[label == one for one in known] for label in labels], dtype=float)


def costs_of(runs: Iterable[GradedRun]) -> Costs | None:
    """Return the mean costs of measured launches; None without any."""
    starts, windows = [], []
    for run in runs:
        load = run.phase_seconds.get("benchmark")
        if run.status != "measured" or not run.launched or load is None:
            continue
        count = max(1, len(run.windows) + len(run.left_out))
        whole = load if run.format == JUDGED else load * count
        begin, end = datetime.fromisoformat(run.started), datetime.fromisoformat(run.ended)
        starts.append(max(0.0, (end - begin).total_seconds() - whole))
        windows.append(whole / count)
    if not windows:
        return None
    return Costs(start=sum(starts) / len(starts), window=sum(windows) / len(windows))
