"""Draw A/A noise: the difference of two launches of the same code."""

from __future__ import annotations

from matplotlib.figure import Figure

from patchbench.report.figures import style
from patchbench.report.model import Report

TITLE = "A/A noise: two launches of the baseline in one block"


def has_data(report: Report) -> bool:
    """Return True if there are A/A pairs."""
    return bool(report.aa)


def draw(report: Report) -> Figure:
    """Return the figure."""
    metrics = list(dict.fromkeys(pair.metric for pair in report.aa))
    figure = style.new(8.2, 1.5 + 0.55 * max(1, len(metrics)))
    axes = figure.subplots()
    raster = len(report.aa) > style.MANY
    for place, metric in enumerate(metrics):
        changes = [100 * (pair.ratio - 1) for pair in report.aa if pair.metric == metric]
        # Points stand side by side in their order, so that equal ones don't hide each other.
        spread = [place + 0.5 * ((i + 0.5) / len(changes) - 0.5) for i in range(len(changes))]
        axes.plot(
            changes, spread, "o", ms=4, mec=style.PALETTE[0], mfc="white", rasterized=raster,
            label="A/A pair" if place == 0 else None,
        )  # fmt: skip
    axes.axvline(0, color="0.3", lw=0.8, zorder=1)
    axes.set_yticks(range(len(metrics)), metrics)
    axes.set_ylim(max(1, len(metrics)) - 0.5, -0.5)
    axes.set_xlabel("A/A launch against the baseline's (%)")
    axes.set_title(TITLE, loc="left")
    if metrics:
        style.legend_beside(axes)
    return figure
