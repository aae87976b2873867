"""Draw the report's figures, each as SVG and PNG: titled, with units, readable in grey, and safe
for the colour-blind. All are drawn from the report's numbers alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from matplotlib import rc_context
from matplotlib.figure import Figure

from patchbench.report.figures import disk, noise, outcomes, speedups, style, timeline
from patchbench.report.model import Report


class Drawing(NamedTuple):
    """A figure: the function that draws it, and the one that says if it has data."""

    draw: Callable[[Report], Figure]
    has_data: Callable[[Report], bool]
    title: str


DRAWINGS: dict[str, Drawing] = {
    module.__name__.rpartition(".")[2]: Drawing(module.draw, module.has_data, module.TITLE)
    for module in (speedups, outcomes, timeline, disk, noise)
}


def shown(report: Report) -> tuple[str, ...]:
    """Return figures that have something to show."""
    return tuple(name for name, drawing in DRAWINGS.items() if drawing.has_data(report))


def draw_all(report: Report, folder: Path) -> None:
    """Draw every figure into a folder. A figure without data says so, so that all files exist."""
    with rc_context(style.STYLE):
        for name, drawing in DRAWINGS.items():
            figure = drawing.draw(report) if drawing.has_data(report) else _empty(drawing.title)
            style.save(figure, folder, name, drawing.title)


def _empty(title: str) -> Figure:
    figure = style.new(6, 1.2)
    figure.text(0.5, 0.5, f"{title}: nothing recorded", ha="center", va="center")
    return figure
