"""Value of a launch from its windows: the launch is the unit of statistics.

Windows of a launch share its memory layout, compiled kernels and clocks, so they repeat each other
and say little about the next launch. Counted as samples they would make intervals narrower but no
truer; averaged they lose only their own noise.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence


def launch_value(windows: Sequence[float]) -> float:
    """Return the geometric mean of a launch's windows, which is the mean on the log scale on which
    launches are compared. If a value is not positive (a count of 0, say), return the arithmetic
    mean. Raises ValueError without windows."""
    if len(windows) == 0:
        raise ValueError("no windows")
    if min(windows) <= 0:
        return math.fsum(windows) / len(windows)
    return math.exp(math.fsum(math.log(value) for value in windows) / len(windows))


def launch_metrics(windows: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Return the launch's value of every metric that all windows have; empty without windows."""
    if not windows:
        return {}
    common = [name for name in windows[0] if all(name in window for window in windows)]
    return {name: launch_value([window[name] for window in windows]) for name in common}
