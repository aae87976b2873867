"""Draw the forest plot of speedups: a row per commit if they are few, else a panel per arm."""

from __future__ import annotations

import math
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from patchbench.records import HUMAN
from patchbench.report.figures import style
from patchbench.report.kinds import mark
from patchbench.report.model import Cell, Report, SpeedupRow

TITLE = "Speedups with their intervals"
# With more than these, a row per commit with all arms in it can't be read.
ROWS, ARMS = 30, 7
PANELS_ACROSS = 4
AXIS = "ratio to the baseline (right is better)"


class Point(NamedTuple):
    """One comparison in the plot."""

    ratio: float
    low: float
    high: float
    decided: bool
    verdict: str


def has_data(report: Report) -> bool:
    """Return True if anything was compared."""
    return any(cell.ratio is not None for row in report.speedups for cell in row.cells)


def draw(report: Report) -> Figure:
    """Return the figure."""
    rows = [row for row in report.speedups if any(drawn_point(cell) for cell in row.cells)]
    arms = [HUMAN, *report.about.agents]
    few = len(rows) <= ROWS and len(arms) <= ARMS
    return _by_commit(report, rows, arms) if few else _by_arm(report, rows, arms)


def drawn_point(cell: Cell) -> Point | None:
    """Return the comparison as a point; None without an interval that can be drawn."""
    if cell.ratio is None or cell.low is None or cell.high is None:
        return None
    if not (math.isfinite(cell.high) and cell.low > 0):
        return None
    decided = cell.verdict in ("faster", "slower")
    return Point(cell.ratio, cell.low, cell.high, decided, f"{cell.verdict} {mark(cell)}")


def _points(rows: list[SpeedupRow], arm: str) -> list[tuple[int, Point]]:
    drawn = []
    for place, row in enumerate(rows):
        cell = next((cell for cell in row.cells if cell.arm == arm), None)
        if cell is not None and (found := drawn_point(cell)):
            drawn.append((place, found))
    return drawn


def _name(report: Report, arm: str) -> str:
    return "human" if arm == HUMAN else report.about.title(arm)


def _own(report: Report, row: SpeedupRow) -> str:
    return " (self-measured)" if row.commit in report.self_measured else ""


def _by_commit(report: Report, rows: list[SpeedupRow], arms: list[str]) -> Figure:
    figure = style.new(8.2, 1.3 + (0.25 + 0.13 * len(arms)) * max(1, len(rows)))
    axes = figure.subplots()
    everything = [point for arm in arms for _, point in _points(rows, arm)]
    for place, row in enumerate(rows):
        margin = 1 + (row.margin or 0)
        axes.fill_betweenx([place - 0.42, place + 0.42], 1 / margin, margin, color="0.92", zorder=0)
    for index, arm in enumerate(arms):
        shift = (index - (len(arms) - 1) / 2) * (0.72 / len(arms))
        colour = style.PALETTE[index % len(style.PALETTE)]
        marker = style.MARKERS[index % len(style.MARKERS)]
        for place, point in _points(rows, arm):
            y = place + shift
            axes.plot([point.low, point.high], [y, y], color=colour, lw=1.3, zorder=2)
            fill = colour if point.decided else "white"
            axes.plot(point.ratio, y, marker, ms=5, mec=colour, mfc=fill, zorder=3)
            axes.text(
                1.01, y, f"{point.ratio:.2f}x  {point.verdict}",
                transform=axes.get_yaxis_transform(), va="center", fontsize=6.5,
            )  # fmt: skip
        axes.plot([], [], marker, color=colour, label=_name(report, arm))
    style.ratio_axis(axes, [p.low for p in everything], [p.high for p in everything])
    labels = [f"{row.commit[:8]}{_own(report, row)}\n{row.metric}" for row in rows]
    axes.set_yticks(range(len(rows)), labels)
    axes.set_ylim(max(1, len(rows)) - 0.5, -0.5)
    axes.set_xlabel(f"{AXIS}; grey: margin")
    axes.set_title(f"{TITLE}; filled: faster or slower beyond noise", loc="left")
    figure.legend(loc="outside lower center", ncols=len(arms), frameon=False)
    return figure


def _by_arm(report: Report, rows: list[SpeedupRow], arms: list[str]) -> Figure:
    """Return each arm's commits, sorted by their ratio."""
    across = min(PANELS_ACROSS, len(arms))
    down = math.ceil(len(arms) / across)
    figure = style.new(2.9 * across, 0.5 + 2.4 * down)
    grid = figure.subplots(down, across, sharex=True, squeeze=False)
    everything = [point for arm in arms for _, point in _points(rows, arm)]
    # One interval blown up by noise must not squeeze all others.
    lows = sorted(p.low for p in everything)[len(everything) // 100 :]
    highs = sorted(p.high for p in everything)[: len(everything) - len(everything) // 100]
    for place, axes in enumerate(grid.flat):
        if place >= len(arms):
            axes.set_visible(False)
            continue
        points = sorted(point for _, point in _points(rows, arms[place]))
        _panel(axes, points, style.PALETTE[0 if place else 2])
        style.ratio_axis(axes, lows, highs)
        decided = sum(point.decided and point.ratio > 1 for point in points)
        name = _name(report, arms[place])
        axes.set_title(f"{name}: {decided} faster of {len(points)}", loc="left", fontsize=8)
        axes.tick_params(labelsize=7, labelbottom=place >= len(arms) - across)
        axes.set_yticks([])
    own = sum(row.commit in report.self_measured for row in rows)
    marked = f"; {own} of {len(rows)} self-measured" if own else ""
    figure.supxlabel(f"{AXIS}; commits sorted by it; dark: faster or slower beyond noise{marked}")
    figure.suptitle(TITLE)
    return figure


def _panel(axes: Axes, points: list[Point], colour: str) -> None:
    raster = len(points) > style.MANY // 4
    for decided, shade, layer in ((False, "0.62", 2), (True, colour, 3)):
        subset = [(y, point) for y, point in enumerate(points) if point.decided is decided]
        ys = [y for y, _ in subset]
        lows, highs = [p.low for _, p in subset], [p.high for _, p in subset]
        axes.hlines(ys, lows, highs, color=shade, lw=0.7, zorder=layer, rasterized=raster)
        ratios = [p.ratio for _, p in subset]
        axes.plot(ratios, ys, ".", ms=2.5, color=shade, zorder=layer + 2, rasterized=raster)
    axes.set_ylim(-1, max(1, len(points)))
