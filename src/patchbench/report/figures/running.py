"""A time axis without pauses, on which a campaign that went on days later stays readable."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from matplotlib.axes import Axes

from patchbench.report.counts.spans import Times, pauses
from patchbench.report.figures import style
from patchbench.report.model import Report
from patchbench.report.text.phrases import duration, plural

# More pauses than this are drawn without their length: the words would overlap.
LABELLED = 6


class Running(NamedTuple):
    """Time with the pauses taken out. ``length`` and ``unit`` are seconds."""

    pauses: tuple[Times, ...]
    length: float
    unit: float
    label: str

    @property
    def end(self) -> float:
        """The end of the axis."""
        return self.length / self.unit

    def at(self, seconds: float) -> float:
        """Return the place of a moment on the axis; a whole pause has one place."""
        gone = sum(min(seconds, end) - start for start, end in self.pauses if seconds > start)
        return (seconds - gone) / self.unit

    def mark(self, axes: Axes, *, words: bool = False) -> None:
        """Draw a dashed line at each pause, with its length if wished."""
        for start, end in self.pauses:
            place = self.at(start)
            axes.axvline(place, color="0.35", ls=":", lw=1.0, zorder=4)
            if words and len(self.pauses) <= LABELLED:
                axes.annotate(
                    f"{duration(end - start)} later ",
                    (place, 1),
                    xycoords=("data", "axes fraction"),
                    ha="right",
                    va="bottom",
                    fontsize=7,
                    color="0.35",
                )


def running(report: Report, *moments: float) -> Running:
    """Return the axis of a report's spans; ``moments`` beyond them lengthen it."""
    spans: Sequence[Times] = [(span.start, span.end) for span in report.machine.spans]
    breaks = pauses(spans)
    last = max((*(end for _, end in spans), *moments), default=1.0)
    length = last - sum(end - start for start, end in breaks) or 1.0
    unit, word = style.hours(length)
    origin = report.machine.origin[:16].replace("T", " ")
    left_out = f"; {plural(len(breaks), 'pause')} left out" if breaks else ""
    return Running(breaks, length, unit, f"{word} since the first event ({origin} UTC){left_out}")
