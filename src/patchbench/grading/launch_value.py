"""Several measured windows of one server launch make one value: the launch is the unit.

Windows of a launch share its memory layout, its compiled kernels and its clocks, so they repeat
each other and say little about the next launch. Counted as samples of their own they would narrow
intervals that they don't make truer; averaged they only take away their own noise.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence


def launch_value(windows: Sequence[float]) -> float:
    """One value per launch: the geometric mean of its windows, which is the mean on the log scale
    on which launches are compared. Where a window is not positive and has no logarithm (a count of
    0), the arithmetic mean. Raises ValueError without any window."""
    if len(windows) == 0:
        raise ValueError("no windows")
    if min(windows) <= 0:
        return math.fsum(windows) / len(windows)
    return math.exp(math.fsum(math.log(value) for value in windows) / len(windows))


def launch_metrics(windows: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """The launch's value of every metric that all of its windows have; empty without windows."""
    if not windows:
        return {}
    common = [name for name in windows[0] if all(name in window for window in windows)]
    return {name: launch_value([window[name] for window in windows]) for name in common}
