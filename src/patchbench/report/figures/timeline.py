"""Draw the times in which GPU slots and builds were busy, and the GPUs' clock and power."""

from __future__ import annotations

from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from patchbench.report.figures import style
from patchbench.report.figures.running import Running, running
from patchbench.report.model import Report, Span

TITLE = "GPU slots and builds over time"
# Two shades tell one commit's launches from the next one's.
COMMITS = ("#0072B2", "#56B4E9")
FAILED = ("#D55E00", "////")
BUILD = ("#777777", "")
FAULTS = "faults"
# Height of a GPU's panel, inches.
PANEL = 1.0


def has_data(report: Report) -> bool:
    """Return True if anything ran."""
    return bool(report.machine.spans)


def draw(report: Report) -> Figure:
    """Return the figure."""
    spans = report.machine.spans
    lanes = sorted({span.lane for span in spans}, key=lambda lane: (lane == FAULTS, lane))
    time = running(report)
    watched = list(dict.fromkeys(span.lane for span in report.machine.gpu_spans))
    height = 1.5 + 0.42 * max(1, len(lanes))
    figure = style.new(9.5, height + PANEL * len(watched))
    axes, *panels = figure.subplots(
        1 + len(watched), sharex=True, squeeze=False,
        height_ratios=[height] + [PANEL] * len(watched),
    )[:, 0]  # fmt: skip
    shade = {name: COMMITS[i % 2] for i, name in enumerate(dict.fromkeys(s.commit for s in spans))}
    for place, lane in enumerate(lanes):
        lane_spans = [span for span in spans if span.lane == lane]
        if lane == FAULTS:
            xs = [time.at(span.start) for span in lane_spans]
            axes.plot(xs, [place] * len(xs), "v", color=FAILED[0], ms=6)
            continue
        groups: dict[tuple[str, str], list[tuple[float, float]]] = {}
        for span in lane_spans:
            start = time.at(span.start)
            bar = (start, max(time.at(span.end) - start, time.end / 2000))
            groups.setdefault(_look(span, shade), []).append(bar)
        raster = len(lane_spans) > style.MANY
        for (colour, hatch), bars in groups.items():
            axes.broken_barh(
                bars, (place - 0.36, 0.72), facecolor=colour, hatch=hatch, ec="white",
                lw=0.0 if raster else 0.3, rasterized=raster,
            )  # fmt: skip
    axes.set_yticks(range(len(lanes)), lanes)
    axes.set_ylim(len(lanes) - 0.5, -0.5)
    axes.set_xlim(0, time.end)
    for panel, lane in zip(panels, watched, strict=True):
        _gpu(panel, lane, report, time)
        time.mark(panel)
    time.mark(axes, words=True)
    (panels or [axes])[-1].set_xlabel(time.label)
    axes.set_title(TITLE, loc="left")
    if spans:
        words = [(COMMITS[0], "", "launches, shades change with the commit")]
        if any(span.kind == "failed" for span in spans):
            words.append((*FAILED, "launch without a valid measurement"))
        if any(span.kind == "build" for span in spans):
            words.append((*BUILD, "image build"))
        for colour, hatch, label in words:
            axes.barh(0, 0, color=colour, hatch=hatch, ec="white", label=label)
        figure.legend(loc="outside lower center", ncols=3, frameon=False)
    return figure


def _gpu(axes: Axes, lane: str, report: Report, time: Running) -> None:
    """Draw clock and power of one GPU, a line per launch, with marks at throttled launches."""
    gpu_spans = [span for span in report.machine.gpu_spans if span.lane == lane]
    raster = len(gpu_spans) > style.MANY
    watts = axes.twinx()
    scales: Any = (
        (axes, "sm_mhz", style.PALETTE[0], "-"),
        (watts, "power_w", style.PALETTE[5], "--"),
    )
    for scale, name, colour, dashes in scales:
        known = [
            (span, getattr(span, name)) for span in gpu_spans if getattr(span, name) is not None
        ]
        scale.hlines(
            [value for _, value in known],
            [time.at(span.start) for span, _ in known],
            [time.at(span.end) for span, _ in known],
            colors=colour, linestyles=dashes, lw=1.8, rasterized=raster,
        )  # fmt: skip
        # A GPU that always reports 0 gets an axis all the same.
        scale.set_ylim(0, 1.15 * (max((value for _, value in known), default=0) or 1))
        scale.tick_params(axis="y", labelsize=7, colors=colour)
        scale.yaxis.set_major_locator(MaxNLocator(3))
    watts.spines["right"].set_visible(True)
    throttles = [time.at((span.start + span.end) / 2) for span in gpu_spans if span.throttle]
    axes.plot(throttles, [0] * len(throttles), "^", color=FAILED[0], ms=5, clip_on=False)
    axes.set_ylabel("MHz (line)", fontsize=7, color=style.PALETTE[0])
    watts.set_ylabel("W (dashes)", fontsize=7, color=style.PALETTE[5])
    note = "; triangle: held back" if throttles else ""
    axes.set_title(f"{lane}: mean clock and power while a kernel ran{note}", loc="left", fontsize=8)


def _look(span: Span, shade: dict[str, str]) -> tuple[str, str]:
    if span.kind == "build":
        return BUILD
    return FAILED if span.kind == "failed" else (shade[span.commit], "")
