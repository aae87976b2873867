"""Draw the matrix of commits and agents: the outcome of each patch."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle

from patchbench.report.figures import style
from patchbench.report.kinds import KINDS, is_matrix, kind, mark, short_cause
from patchbench.report.model import Cell, Report, SpeedupRow

TITLE = "What became of each patch"
# Beyond these the cells are too small for words.
ROWS, AGENTS = 60, 8

# The colour of each kind of cell; greys differ from row to row.
COLOURS = {
    "faster": "#00523C",
    "measured": "#5FB99B",
    "same": "#DDDDDD",
    "inconclusive": "#F4F4F4",
    "slower": "#E69F00",
    "faster, guard open": "#F0E442",
    "trade-off": "#F0E442",
    "suspicious": "#F0E442",
    "wrong output": "#CC79A7",
    "failed": "#C65102",
    "other": "#8CCBF0",
    "missing": "#FFFFFF",
    "pending": "#FFFFFF",
}
LIGHT_TEXT = ("faster", "failed")
has_data = is_matrix


def draw(report: Report) -> Figure:
    """Return the figure."""
    rows = [row for row in report.speedups if row.cells]
    agents = list(report.about.agents)
    if len(rows) <= ROWS and len(agents) <= AGENTS:
        return _with_words(report, rows, agents)
    return _coloured(report, rows, agents)


def _cells(row: SpeedupRow) -> dict[str, Cell]:
    return {cell.arm: cell for cell in row.cells}


def _legend(axes: Axes, seen: Sequence[str]) -> list[Patch]:
    return [
        Patch(fc=COLOURS[name], ec="0.5", label=f"{sign}  {words}")
        for name, (words, sign) in KINDS.items()
        if name in seen
    ]


def _with_words(report: Report, rows: list[SpeedupRow], agents: list[str]) -> Figure:
    figure = style.new(4.2 + 1.15 * len(agents), 1.0 + 0.4 * max(1, len(rows)))
    axes = figure.subplots()
    seen = []
    for y, row in enumerate(rows):
        cells = _cells(row)
        for x, arm in enumerate(agents):
            if arm not in cells:
                continue
            cell = cells[arm]
            name = kind(cell)
            seen.append(name)
            colour = COLOURS[name]
            axes.add_patch(Rectangle((x, y), 0.95, 0.9, fc=colour, ec="0.6", lw=0.5))
            words = _words(cell, name)
            ink = "white" if name in LIGHT_TEXT else "black"
            centre = (x + 0.475, y + 0.46)
            axes.text(*centre, words, ha="center", va="center", fontsize=7, color=ink)
    axes.set_xlim(0, max(1, len(agents)))
    axes.set_ylim(max(1, len(rows)), 0)
    axes.set_xticks([i + 0.475 for i in range(len(agents))], list(report.about.agents.values()))
    axes.xaxis.tick_top()
    labels = [row.commit[:8] for row in rows]
    axes.set_yticks([i + 0.46 for i in range(len(rows))], labels, family="monospace")
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set_title(TITLE, loc="left")
    style.legend_beside(axes, handles=_legend(axes, seen))
    return figure


def _words(cell: Cell, name: str) -> str:
    """Return a ratio with its mark, or the cause in words."""
    if cell.ratio is not None:
        return f"{cell.ratio:.2f}x {mark(cell)}"
    if name in ("missing", "measured", "pending"):
        return {"missing": "no patch", "measured": "ran", "pending": "pending"}[name]
    return short_cause(cell.cause)


def _coloured(report: Report, rows: list[SpeedupRow], agents: list[str]) -> Figure:
    """Return colours alone, agents down and commits across in the list's order."""
    names = list(KINDS)
    table = [
        [names.index(kind(cell)) if (cell := _cells(row).get(arm)) else len(names) for row in rows]
        for arm in agents
    ]
    figure = style.new(11, 1.7 + 0.24 * len(agents))
    axes = figure.subplots()
    colours = ListedColormap([*(COLOURS[name] for name in KINDS), "#FFFFFF"])
    axes.imshow(
        table, cmap=colours, vmin=-0.5, vmax=len(names) + 0.5, aspect="auto",
        interpolation="nearest",
    )  # fmt: skip
    for y in range(1, len(agents)):
        axes.axhline(y - 0.5, color="white", lw=1)
    axes.set_yticks(range(len(agents)), list(report.about.agents.values()), fontsize=8)
    axes.set_xlabel(f"{len(rows):,} commits, in the order of the task list")
    axes.set_title(TITLE, loc="left")
    seen = {names[number] for line in table for number in line if number < len(names)}
    figure.legend(
        handles=_legend(axes, list(seen)), loc="outside lower center", ncols=4, frameon=False
    )
    return figure
