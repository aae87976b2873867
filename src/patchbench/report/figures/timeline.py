"""When the GPU slots and the builds were busy."""

from __future__ import annotations

from matplotlib.figure import Figure

from patchbench.report.figures import style
from patchbench.report.model import Report, Span

TITLE = "GPU slots and builds over time"
# Two shades tell one commit's launches from the next one's.
COMMITS = ("#0072B2", "#56B4E9")
FAILED = ("#D55E00", "////")
BUILD = ("#777777", "")
FAULTS = "faults"


def has_data(report: Report) -> bool:
    """Whether anything ran."""
    return bool(report.machine.spans)


def draw(report: Report) -> Figure:
    """The figure."""
    spans = report.machine.spans
    lanes = sorted({span.lane for span in spans}, key=lambda lane: (lane == FAULTS, lane))
    length = max((span.end for span in spans), default=1.0)
    unit, word = style.hours(length)
    figure = style.new(9.5, 1.5 + 0.42 * max(1, len(lanes)))
    axes = figure.subplots()
    shade = {name: COMMITS[i % 2] for i, name in enumerate(dict.fromkeys(s.commit for s in spans))}
    for place, lane in enumerate(lanes):
        mine = [span for span in spans if span.lane == lane]
        if lane == FAULTS:
            xs = [span.start / unit for span in mine]
            axes.plot(xs, [place] * len(xs), "v", color=FAILED[0], ms=6)
            continue
        groups: dict[tuple[str, str], list[tuple[float, float]]] = {}
        for span in mine:
            bar = (span.start / unit, max(span.end - span.start, length / 2000) / unit)
            groups.setdefault(_look(span, shade), []).append(bar)
        raster = len(mine) > style.MANY
        for (colour, hatch), bars in groups.items():
            axes.broken_barh(
                bars, (place - 0.36, 0.72), facecolor=colour, hatch=hatch, ec="white",
                lw=0.0 if raster else 0.3, rasterized=raster,
            )  # fmt: skip
    axes.set_yticks(range(len(lanes)), lanes)
    axes.set_ylim(len(lanes) - 0.5, -0.5)
    axes.set_xlim(0, length / unit)
    origin = report.machine.origin[:16].replace("T", " ")
    axes.set_xlabel(f"{word} since the first event ({origin} UTC)")
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


def _look(span: Span, shade: dict[str, str]) -> tuple[str, str]:
    if span.kind == "build":
        return BUILD
    return FAILED if span.kind == "failed" else (shade[span.commit], "")
