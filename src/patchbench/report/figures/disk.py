"""Draw the disks over time: free space, and the number of our images."""

from __future__ import annotations

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, ScalarFormatter

from patchbench.report.figures import style
from patchbench.report.figures.running import running
from patchbench.report.model import Report

TITLE = "Disk over time"
GIB = 2**30
EVENTS = {
    "waited": ("^", "#E69F00", "a build had waited for room"),
    "reclaimed": ("v", "#D55E00", "images reclaimed under pressure"),
    "released": (".", "#009E73", "a finished commit's images released"),
    "refused": ("X", "#000000", "no room in time"),
}


def has_data(report: Report) -> bool:
    """Return True if the disks' events were recorded."""
    return bool(report.machine.disk)


def draw(report: Report) -> Figure:
    """Return the figure."""
    samples = report.machine.disk
    time = running(report, *(sample.at for sample in samples))
    times = [time.at(sample.at) for sample in samples]
    figure = style.new(9.5, 4.4)
    free, images = figure.subplots(2, 1, sharex=True)
    engine = [s.engine_free / GIB for s in samples]
    results = [s.results_free / GIB for s in samples]
    one_disk = all(abs(a - b) < 0.1 for a, b in zip(engine, results, strict=True))
    label = "engine and results (one disk)" if one_disk else "engine's disk"
    free.step(times, engine, where="post", color=style.PALETTE[0], label=label)
    if not one_disk:
        free.step(
            times, results, where="post", color=style.PALETTE[1], ls="--", label="results' disk"
        )
    free.yaxis.set_major_formatter(ScalarFormatter(useOffset=False))
    free.set_ylabel("free (GiB)")
    total = max((s.engine_total for s in samples), default=0) / GIB
    free.set_title(f"{TITLE}, {total:,.0f} GiB in all", loc="left")
    free.legend(loc="best", frameon=False, fontsize=8)
    count = [sample.images for sample in samples]
    images.step(times, count, where="post", color=style.PALETTE[0], label="images")
    images.step(
        times,
        [sample.commits for sample in samples],
        where="post",
        color=style.PALETTE[1],
        ls="--",
        label="commits with images",
    )
    for event, (marker, colour, words) in EVENTS.items():
        points = [(t, c) for t, c, s in zip(times, count, samples, strict=True) if s.event == event]
        if points:
            xs, ys = zip(*points, strict=True)
            images.plot(xs, ys, marker, color=colour, ms=7, ls="", label=words)
    images.set_ylim(0, max([*count, 1]) * 1.1)
    images.yaxis.set_major_locator(MaxNLocator(integer=True))
    images.set_ylabel("on disk")
    time.mark(free, words=True)
    time.mark(images)
    images.set_xlabel(time.label)
    figure.legend(
        *images.get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False
    )
    return figure
