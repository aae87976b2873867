#!/usr/bin/env python3
"""Measure how much launches of the same code differ on a GPU, and what a decision costs.

    python benchmarks/gpu/noise.py RESULTS... [--figure DIR] [--effect 0.05]

Reads the tables of each results folder (from which the report is made), takes the baseline's
launches with the A/A ones, and prints one row per task and metric; with --figure it draws them too.

The model is the usual one of repeats within repeats: the logarithm of a window's value is a mean,
plus what its launch adds (s_launch), plus what the window adds (s_window). A launch of w windows
then scatters by sqrt(s_launch^2 + s_window^2 / w), and the ratio of two launches by sqrt(2) times
that. Blocks needed are those with which a paired t test, two-sided at 5 %, finds the effect in 80
of 100 cases (noncentral t).

A second table says whether the first launch of a block differs: how far its logarithm lies from the
mean of its code and of its block, with its standard error over the blocks, > 0 is better.
"""

from __future__ import annotations

import argparse
import math
import statistics
import sys
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pyarrow.parquet as pq
from scipy import stats

from patchbench.grading.launch_value import launch_value
from patchbench.parsing.names import METRICS
from patchbench.records import AA, BASELINE

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# The metrics that decide or guard something, by benchmark type.
SHOWN = {
    "serving": ("tpot_median_ms", "ttft_median_ms", "output_tps"),
    "latency": ("latency_avg_s",),
    "throughput": ("total_tps",),
}
ALPHA, POWER = 0.05, 0.8
MOST_BLOCKS = 200
WINDOWS = (1, 2, 4)


class Launch(NamedTuple):
    """One launch of the baseline's code: its block, whether it is the A/A one, its windows."""

    block: int
    again: bool
    windows: tuple[float, ...]

    @property
    def log(self) -> float:
        """The logarithm of its value."""
        return math.log(launch_value(self.windows))


class Spread(NamedTuple):
    """The scatter of launches of the same code; standard deviations of logarithms (0.01 is about
    1 %). ``pair`` is None without A/A pairs, ``window`` without launches of several windows."""

    launches: int
    pairs: int
    windows: int
    total: float
    pair: float | None
    worst: float | None
    window: float | None

    @property
    def launch(self) -> float:
        """Return the scatter of the launch itself, without its windows' share."""
        own = (self.window or 0.0) ** 2 / self.windows
        return math.sqrt(max(0.0, self.total**2 - own))

    def ratio(self, windows: int) -> float:
        """Standard deviation of the log ratio of two launches with so many windows each."""
        return math.sqrt(2 * (self.launch**2 + (self.window or 0.0) ** 2 / windows))


def spread(launches: Sequence[Launch]) -> Spread:
    """The spread of at least two launches."""
    first = {one.block: one for one in launches if not one.again}
    again = {one.block: one for one in launches if one.again}
    pairs = [again[b].log - first[b].log for b in sorted(first.keys() & again.keys())]
    several = [one for one in launches if len(one.windows) > 1]
    within = [statistics.variance(map(math.log, one.windows)) for one in several]
    return Spread(
        launches=len(launches),
        pairs=len(pairs),
        windows=max(len(one.windows) for one in launches),
        total=statistics.stdev(one.log for one in launches),
        pair=math.sqrt(math.fsum(d * d for d in pairs) / len(pairs)) if pairs else None,
        worst=max(map(abs, pairs)) if pairs else None,
        window=math.sqrt(math.fsum(within) / len(within)) if within else None,
    )


def power(effect: float, sigma: float, blocks: int) -> float:
    """Chance that a paired t test of so many blocks finds a gain (0.05 is 5 %), if the blocks' log
    ratios scatter by ``sigma``."""
    if sigma <= 0:
        return 1.0
    free = blocks - 1
    shift = math.log1p(effect) / sigma * math.sqrt(blocks)
    return float(stats.nct.sf(stats.t.ppf(1 - ALPHA / 2, free), free, shift))


def blocks_for(effect: float, sigma: float) -> int | None:
    """Fewest blocks (at least two) that find a gain with the power wanted; None beyond 200."""
    found = (n for n in range(2, MOST_BLOCKS + 1) if power(effect, sigma, n) >= POWER)
    return next(found, None)


def read(results: Path) -> dict[tuple[str, str], list[Launch]]:
    """Launches of the baseline's code by task and metric. Raises SystemExit without tables."""
    table = results / "tables" / "runs.parquet"
    if not table.is_file():
        raise SystemExit(f"noise: no {table} | next: make the report of {results} first")
    tasks = pq.read_table(results / "tables" / "tasks.parquet").to_pylist()
    types = {row["commit"]: row["type"] or "?" for row in tasks}
    found = defaultdict(list)
    for row in pq.read_table(table).to_pylist():
        type_ = types[row["commit"]]
        if row["arm"] in (BASELINE, AA) and row["metric"] in SHOWN.get(type_, ()) and row["value"]:
            windows = tuple(row["windows"] or (row["value"],))
            name = f"{type_} {row['commit'][:8]}"
            found[name, row["metric"]].append(Launch(row["block"], row["arm"] == AA, windows))
    return {key: launches for key, launches in found.items() if len(launches) > 1}


class Placed(NamedTuple):
    """One launch of any arm: its code (A/A is the baseline's), its block, whether it was the first
    of that block, and the logarithm of its value, > is better."""

    code: str
    block: int
    first: bool
    log: float


def read_placed(results: Path) -> dict[tuple[str, str], list[Placed]]:
    """Measured launches of all arms by task and metric."""
    tasks = pq.read_table(results / "tables" / "tasks.parquet").to_pylist()
    types = {row["commit"]: row["type"] or "?" for row in tasks}
    rows = pq.read_table(results / "tables" / "runs.parquet").to_pylist()
    launched = sorted(
        (r for r in rows if r["launched"] and r["started"]), key=lambda r: r["started"]
    )
    opened: dict[tuple[str, int], str] = {}
    for row in launched:
        opened.setdefault((row["commit"], row["block"]), row["arm"])
    found = defaultdict(list)
    for row in launched:
        type_ = types[row["commit"]]
        if row["status"] != "measured" or row["metric"] not in SHOWN.get(type_, ()):
            continue
        sign = 1 if METRICS[row["metric"]].direction == "higher" else -1
        code = BASELINE if row["arm"] == AA else row["arm"]
        first = opened[row["commit"], row["block"]] == row["arm"]
        placed = Placed(code, row["block"], first, sign * math.log(row["value"]))
        found[f"{type_} {row['commit'][:8]}", row["metric"]].append(placed)
    return found


def first_of_block(launches: Sequence[Placed]) -> list[float]:
    """Return how far the first launch of each block lies from the means of its code and block.
    Both means are taken off in turn until nothing is left of either."""
    left = [one.log for one in launches]
    for _ in range(50):
        for groups in ([one.code for one in launches], [one.block for one in launches]):
            of: dict[object, list[float]] = defaultdict(list)
            for group, value in zip(groups, left, strict=True):
                of[group].append(value)
            left = [v - statistics.fmean(of[g]) for g, v in zip(groups, left, strict=True)]
    return [value for one, value in zip(launches, left, strict=True) if one.first]


def places(found: dict[tuple[str, str], list[Placed]]) -> Iterable[str]:
    """The rows of the second table."""
    yield "| Task | Metric | Blocks | First launch of a block |\n| --- | --- | ---: | ---: |"
    for (task, metric), launches in found.items():
        off = first_of_block(launches)
        if len(off) > 1:
            error = statistics.stdev(off) / math.sqrt(len(off))
            said = f"{100 * statistics.fmean(off):+.1f} % ± {100 * error:.1f}"
            yield f"| {task} | `{metric}` | {len(off)} | {said} |"


def percent(value: float | None) -> str:
    """A standard deviation of logarithms as per cent."""
    return "–" if value is None else f"{100 * math.expm1(value):.1f} %"


def table(found: dict[tuple[str, str], list[Launch]], effect: float) -> Iterable[str]:
    """The rows of a markdown table."""
    needed = " | ".join(f"blocks, {w} {'window' if w == 1 else 'windows'}" for w in WINDOWS)
    yield (
        "| Task | Metric | Launches | A/A pairs | Between launches | A/A pairs (rms) | Worst pair |"
        f" Within a launch | {needed} |"
    )
    yield "|" + " --- |" * 2 + " ---: |" * (6 + len(WINDOWS))
    for (task, metric), launches in found.items():
        s = spread(launches)
        counts = [
            # Without several windows the gain of more of them is unknown.
            "–" if s.window is None and w != s.windows else
            str(blocks_for(effect, s.ratio(w)) or f"over {MOST_BLOCKS}")
            for w in WINDOWS
        ]  # fmt: skip
        cells = (
            task, f"`{metric}`", s.launches, s.pairs, percent(s.total), percent(s.pair),
            percent(s.worst), percent(s.window), *counts,
        )  # fmt: skip
        yield "| " + " | ".join(map(str, cells)) + " |"


def draw(found: dict[tuple[str, str], list[Launch]], folder: Path, effect: float) -> None:
    """Two panels: each launch against the mean of its task, and the power over the blocks."""
    import matplotlib as mpl

    from patchbench.report.figures import style

    with mpl.rc_context(style.STYLE):
        style.save(_figure(found, effect), folder, "gpu-noise", "Launches of the same code")


def _figure(found: dict[tuple[str, str], list[Launch]], effect: float) -> Figure:
    from patchbench.report.figures import style

    figure = style.new(9.0, 1.8 + 0.55 * len(found))
    points, curves = figure.subplots(1, 2, width_ratios=(3, 2))
    for place, ((task, metric), launches) in enumerate(found.items()):
        mean = statistics.fmean(one.log for one in launches)
        colour = style.PALETTE[place % len(style.PALETTE)]
        mark = style.MARKERS[place % len(style.MARKERS)]
        for order, one in enumerate(sorted(launches)):
            height = place + 0.6 * ((order + 0.5) / len(launches) - 0.5)
            windows = [100 * math.expm1(math.log(w) - mean) for w in one.windows]
            if len(windows) > 1:
                points.plot(windows, [height] * len(windows), "-", lw=1, color="0.6", zorder=1)
            points.plot(
                100 * math.expm1(one.log - mean), height, mark, ms=4.5, mec=colour,
                mfc=colour if one.again else "white", zorder=2,
            )  # fmt: skip
        blocks = range(2, 21)
        sigma = spread(launches).ratio(spread(launches).windows)
        curves.plot(
            blocks, [100 * power(effect, sigma, n) for n in blocks], color=colour, marker=mark,
            ms=3.5, lw=1.2, label=f"{task}: {metric}",
        )  # fmt: skip
    points.axvline(0, color="0.3", lw=0.8, zorder=0)
    points.set_yticks(range(len(found)), [f"{task}\n{metric}" for task, metric in found])
    points.set_ylim(len(found) - 0.5, -0.5)
    points.set_xlabel("launch against the mean of its task (%)")
    points.set_title("Launches (filled: A/A; grey: windows)", loc="left")
    curves.axhline(100 * POWER, color="0.3", lw=0.8, ls=":")
    curves.set_ylim(0, 101)
    curves.set_xlabel("blocks")
    curves.set_ylabel("chance (%)")
    curves.set_title(f"A gain of {100 * effect:g} % is found", loc="left")
    figure.legend(loc="outside lower center", ncols=3, frameon=False, fontsize=8)
    return figure


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="What launches of the same code differ by.")
    parser.add_argument("results", type=Path, nargs="+", help="results folders with tables")
    parser.add_argument("--figure", type=Path, metavar="DIR", help="draw gpu-noise.svg and .png")
    parser.add_argument("--effect", type=float, default=0.05, help="gain to be found (%(default)s)")
    args = parser.parse_args()
    found: dict[tuple[str, str], list[Launch]] = defaultdict(list)
    for folder in args.results:
        for key, launches in read(folder).items():
            found[key].extend(launches)
    if not found:
        sys.exit("noise: no two launches of the baseline in these tables")
    print("\n".join(table(found, args.effect)))
    placed: dict[tuple[str, str], list[Placed]] = defaultdict(list)
    for folder in args.results:
        for key, launches in read_placed(folder).items():
            placed[key].extend(launches)
    print("\n" + "\n".join(places(placed)))
    if args.figure:
        draw(found, args.figure, args.effect)


if __name__ == "__main__":
    main()
