"""Draw failure causes, stacked by blame."""

from __future__ import annotations

from collections import defaultdict

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from patchbench.failures.causes import BLAMES, CAUSES
from patchbench.report.figures import style
from patchbench.report.model import Report

TITLE = "Patches without a valid measurement, by cause and blame"
# With more agents than this, one panel shows all causes, and another the blame of each agent.
PANELS = 4

Bars = dict[str, dict[str, int]]  # counts by label and blame


def has_data(report: Report) -> bool:
    """Return True if anything failed."""
    return any(row.total for row in report.failures)


def draw(report: Report) -> Figure:
    """Return the figure."""
    order = list(CAUSES)
    names = sorted(
        {cause.cause for row in report.failures for cause in row.causes},
        key=lambda name: order.index(name) if name in order else len(order),
    )
    many = len(report.failures) > PANELS
    columns = 2 if many else max(1, len(report.failures))
    rows = max(len(names), len(report.failures) if many else 0, 1)
    width = 9.5 if many else 3.4 + 2.1 * columns
    figure = style.new(width, 1.5 + 0.26 * rows)
    grid = figure.subplots(1, columns, sharey=not many, squeeze=False)[0]
    if many:
        _bars(grid[0], _by_cause(report, names), "all agents: failures per cause (patches)")
        _bars(grid[1], _by_agent(report), "failures per agent (patches)")
    else:
        for axes, row in zip(grid, report.failures, strict=False):
            _bars(axes, _by_cause(report, names, row.arm), "patches")
            axes.set_title(f"{row.title}: {row.total}", loc="left")
    used = [b for b in BLAMES if any(row.blames[b] for row in report.failures)]
    for blame in used:
        colour, hatch = style.BLAME_STYLE[blame]
        grid[-1].barh(0, 0, color=colour, hatch=hatch, ec="white", label=f"charged to: {blame}")
    figure.legend(loc="outside lower center", ncols=max(1, len(used)), frameon=False)
    figure.suptitle(TITLE, fontsize=10)
    return figure


def _by_cause(report: Report, names: list[str], arm: str | None = None) -> Bars:
    counts: Bars = {name: defaultdict(int) for name in names}
    for row in report.failures:
        for cause in row.causes:
            if arm in (None, row.arm):
                counts[cause.cause][cause.blame] += cause.count
    return counts


def _by_agent(report: Report) -> Bars:
    return {row.title: row.blames for row in report.failures}


def _bars(axes: Axes, bars: Bars, label: str) -> None:
    most = max((sum(counts.values()) for counts in bars.values()), default=1)
    for place, counts in enumerate(bars.values()):
        left = 0
        for blame in BLAMES:
            if count := counts.get(blame, 0):
                colour, hatch = style.BLAME_STYLE[blame]
                axes.barh(place, count, left=left, color=colour, hatch=hatch, ec="white", lw=0.5)
                left += count
        if left:
            axes.text(left + 0.02 * most, place, str(left), va="center", fontsize=7)
    axes.set_yticks(range(len(bars)), list(bars), fontsize=8)
    axes.set_ylim(max(1, len(bars)) - 0.5, -0.5)
    axes.set_xlim(0, max(1, most) * 1.12)
    style.whole_numbers(axes)
    axes.set_xlabel(label)
