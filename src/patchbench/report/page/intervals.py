"""Ratios with their intervals on one logarithmic scale, as places in percent of its width.

The page draws them as small pictures inside its tables, so that words stay text and follow the
page's width and colours.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from patchbench.report.figures.speedups import drawn_point
from patchbench.report.figures.style import ratio_range, ratio_ticks
from patchbench.report.kinds import kind, mark, title, verdict
from patchbench.report.layout.grid import SELF_MEASURED, anchor
from patchbench.report.model import Report, SpeedupRow

# Ticks that fit on a plot in a table.
TICKS = 5


class Scale(NamedTuple):
    """A logarithmic scale between two ratios."""

    low: float
    high: float

    def place(self, ratio: float) -> float:
        """Return a ratio's place in percent of the width; of one beyond an end, that end."""
        inside = min(max(ratio, self.low), self.high)
        share = math.log(inside / self.low) / math.log(self.high / self.low)
        return round(100 * share, 2)

    @property
    def ticks(self) -> list[tuple[float, str]]:
        """The places of a few plain ratios, with their words."""
        ticks = ratio_ticks(self.low, self.high, TICKS)
        return [(self.place(tick), f"{tick:g}x") for tick in ticks]

    @property
    def one(self) -> float:
        """The place of the baseline."""
        return self.place(1.0)


class Interval(NamedTuple):
    """One comparison: places of its interval, its ratio and the margin, and its words."""

    arm: str
    title: str
    kind: str
    low: float
    high: float
    at: float
    margin: tuple[float, float]
    decided: bool
    ratio: str
    span: str
    verdict: str
    place: str


class Group(NamedTuple):
    """The comparisons of one commit."""

    commit: str
    note: str
    rows: tuple[Interval, ...]


class Forest(NamedTuple):
    """All comparisons, on one scale."""

    scale: Scale
    groups: tuple[Group, ...]


def scale(lows: Sequence[float], highs: Sequence[float]) -> Scale:
    """Return a scale that shows these intervals and 1."""
    return Scale(*ratio_range(lows, highs))


def forest(report: Report) -> Forest:
    """Return every comparison with an interval, by commit."""
    points = [
        found for row in report.speedups for cell in row.cells if (found := drawn_point(cell))
    ]
    common = scale([p.low for p in points], [p.high for p in points])
    groups = (_group(report, row, common) for row in report.speedups)
    return Forest(common, tuple(group for group in groups if group.rows))


def _group(report: Report, row: SpeedupRow, common: Scale) -> Group:
    margin = 1 + (row.margin or 0.0)
    band = (common.place(1 / margin), common.place(margin))
    intervals = []
    for cell in row.cells:
        found = drawn_point(cell)
        if found is None:
            continue
        intervals.append(
            Interval(
                arm=cell.arm,
                title=title(report, cell.arm),
                kind=kind(cell),
                low=common.place(found.low),
                high=common.place(found.high),
                at=common.place(found.ratio),
                margin=band,
                decided=found.decided,
                ratio=f"{found.ratio:.2f}x",
                span=f"[{found.low:.2f}, {found.high:.2f}]",
                verdict=f"{mark(cell)} {verdict(cell)}",
                place=anchor("cell", row.commit, cell.arm),
            )
        )
    own = f", {SELF_MEASURED}" if row.commit in report.self_measured else ""
    return Group(row.commit[:8], f"{row.metric}{own}", tuple(intervals))
