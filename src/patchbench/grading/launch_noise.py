"""Noise and costs of launches: what a plan weighs.

The logarithm of a window's value is what its block and its arm add, plus what its launch adds, plus
what the window adds.
"""

from __future__ import annotations

import math

from patchbench.records import Record

MOST_WINDOWS = 50


class Noise(Record, frozen=True, kw_only=True):
    """Standard deviations on the log scale (0.01 is about 1 %): between the windows of a launch,
    and what a launch adds to them. ``window_freedom`` and ``launch_freedom`` are degrees of
    freedom of the estimate, 0 for a figure that was not measured here."""

    window: float
    launch: float
    window_freedom: int = 0
    launch_freedom: int = 0

    def of_ratio(self, windows: int) -> float:
        """Return the standard deviation of the log ratio of two launches in one block."""
        return math.sqrt(2 * (self.launch**2 + self.window**2 / windows))


class Costs(Record, frozen=True, kw_only=True):
    """Seconds of a launch without its windows (start, checks, stop), and seconds of a window."""

    start: float
    window: float

    def of_launch(self, windows: int) -> float:
        """Return the seconds of a launch with so many windows."""
        return self.start + windows * self.window


def best_windows(noise: Noise, costs: Costs, longest: float) -> int:
    """Return the windows per launch that tell most per second, sqrt(seconds of a start / of a
    window) times the windows' noise over the launch's, as long as a launch takes no more than
    ``longest`` seconds. At least 1."""
    room = int((longest - costs.start) / costs.window)
    most = max(1, min(MOST_WINDOWS, room))
    if noise.launch <= 0:
        return most
    best = math.sqrt(costs.start / costs.window) * noise.window / noise.launch
    return max(1, min(most, round(best)))
