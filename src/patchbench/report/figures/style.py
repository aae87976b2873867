"""The style of all figures: colours and marks that can also be told apart in grey, and files."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullFormatter

from patchbench.system.files import write_bytes

mpl.rcdefaults()  # whatever a person's matplotlibrc says

# Okabe and Ito's palette, safe for the colour-blind; markers and hatches say the same in grey.
PALETTE = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
BLAME_STYLE: Any = {
    "agent": ("#D55E00", ""),
    "task": ("#56B4E9", "//"),
    "infra": ("#999999", "xx"),
    "harness": ("#CC79A7", ".."),
    "unknown": ("#F0E442", "++"),
}
KINDS = ("svg", "png")
DPI = 150
STYLE: Any = {
    "svg.hashsalt": "patchbench",
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "hatch.linewidth": 0.6,
}
# Possible ticks of a ratio's axis, and its range.
RATIO_TICKS = (
    *(0.1, 0.2, 0.25, 0.33, 0.5, 0.67, 0.8, 0.9, 0.95, 1, 1.05, 1.1, 1.25, 1.5),
    *(2, 3, 4, 6, 8, 12, 16),
)
RATIO_RANGE = (0.1, 20.0)
# More marks than this go into an SVG as a picture: a million paths make it slow.
MANY = 400


def new(width: float, height: float) -> Figure:
    """Return an empty figure, sizes in inches."""
    return Figure(figsize=(width, height), layout="constrained")


def save(figure: Figure, folder: Path, name: str, title: str) -> None:
    """Write a figure as SVG and PNG. Equal numbers give equal files."""
    # Each canvas draws once: ``savefig`` would lay all out twice for each kind.
    svg, png = io.BytesIO(), io.BytesIO()
    canvases: Any = FigureCanvasSVG(figure), FigureCanvasAgg(figure)
    canvases[0].print_svg(svg, metadata={"Date": None, "Title": title})
    figure.set_layout_engine("none")
    figure.set_dpi(DPI)  # of an SVG it is always 72
    canvases[1].print_png(png, metadata={"Software": None})
    for kind, data in zip(KINDS, (svg, png), strict=True):
        write_bytes(folder / f"{name}.{kind}", data.getvalue())


def ratio_range(lows: Sequence[float], highs: Sequence[float]) -> tuple[float, float]:
    """Return the ends of an axis of ratios that shows these intervals and 1."""
    low = max(RATIO_RANGE[0], min([*lows, 0.9]) / 1.05)
    high = min(RATIO_RANGE[1], max([*highs, 1.12]) * 1.05)
    return low, high


def ratio_ticks(low: float, high: float, most: int = 9) -> list[float]:
    """Return a handful of plain ticks around 1 for a logarithmic axis; ``most`` fit on it."""
    # Ticks that would stand closer than this on the axis run into each other.
    least = math.log(high / low) / most
    chosen: list[float] = [1]
    inside = [tick for tick in RATIO_TICKS if low <= tick <= high]
    for tick in sorted(inside, key=lambda tick: abs(math.log(tick))):
        if all(abs(math.log(tick / other)) >= least for other in chosen):
            chosen.append(tick)
    return sorted(chosen)


def ratio_axis(axes: Axes, lows: Sequence[float], highs: Sequence[float]) -> None:
    """Make a logarithmic axis of ratios around 1 with a handful of plain ticks."""
    low, high = ratio_range(lows, highs)
    axes.set_xscale("log")
    axes.set_xlim(low, high)
    axes.xaxis.set_major_locator(FixedLocator(ratio_ticks(low, high)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}x"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.axvline(1, color="0.3", lw=0.8, zorder=1)


def whole_numbers(axes: Axes) -> None:
    """Set ticks of a count."""
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def legend_beside(axes: Axes, **more: object) -> None:
    """Draw the legend to the right, outside the data."""
    axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1), frameon=False, **more)


def hours(seconds: float) -> tuple[float, str]:
    """Return the unit for a time axis of this length, in seconds, and its name."""
    return (3600.0, "hours") if seconds > 3 * 3600 else (60.0, "minutes")
