#!/usr/bin/env python3
"""Say how much a GPU's figures change with what the GPU beside it does.

    python benchmarks/gpu/neighbour_table.py WINDOWS.json...

The figures are logarithms of windows (benchmarks/gpu/neighbour.py). A difference is the mean over
the rounds of a state's mean less that of the idle neighbour; its standard error comes from the
scatter of windows within a round and state, and the interval is Student's t, 95 %. The scatter's
own interval is that of chi squared.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from scipy import stats

IDLE, STARTING, WORKING = "idle", "starting", "working"
METRICS = ("output_tps", "tpot_median_ms", "ttft_median_ms")


class Measured(NamedTuple):
    """One window on GPU 0: its round, the neighbour's state and its metrics."""

    round: int
    state: str
    metrics: dict[str, float]


class Effect(NamedTuple):
    """A state against the idle neighbour: mean difference of logarithms with the half-width of its
    interval, and the scatter of windows in the state (standard deviation of logarithms, with its
    degrees of freedom)."""

    difference: float
    half: float
    scatter: float
    free: int


def effects(windows: Sequence[Measured], metric: str) -> dict[str, Effect]:
    """Return the effect of each state, the idle one's own scatter included."""
    cells: dict[tuple[int, str], list[float]] = defaultdict(list)
    for window in windows:
        cells[window.round, window.state].append(math.log(window.metrics[metric]))
    out = {}
    for state in (IDLE, STARTING, WORKING):
        rounds = [n for n, s in cells if s == state and (n, IDLE) in cells]
        if not rounds:
            continue
        used = [cells[n, s] for n in rounds for s in {state, IDLE}]
        free = sum(len(cell) - 1 for cell in used)
        variance = _squares(used) / free
        parts = [
            statistics.fmean(cells[n, state]) - statistics.fmean(cells[n, IDLE]) for n in rounds
        ]
        error = math.sqrt(
            sum(variance * (1 / len(cells[n, state]) + 1 / len(cells[n, IDLE])) for n in rounds)
        ) / len(rounds)
        own = [cells[n, state] for n in rounds]
        own_free = sum(len(cell) - 1 for cell in own)
        out[state] = Effect(
            difference=statistics.fmean(parts),
            half=float(stats.t.ppf(0.975, free)) * error,
            scatter=math.sqrt(_squares(own) / own_free) if own_free else math.nan,
            free=own_free,
        )
    return out


def _squares(cells: Iterable[Sequence[float]]) -> float:
    return sum((value - statistics.fmean(cell)) ** 2 for cell in cells for value in cell)


def table(windows: Sequence[Measured]) -> Iterator[str]:
    """The rows of a markdown table."""
    counted = {s: sum(w.state == s for w in windows) for s in (IDLE, STARTING, WORKING)}
    yield "| metric | neighbour | windows | against idle | window to window (95 % interval) |"
    yield "|---|---|---:|---:|---:|"
    for metric in METRICS:
        for state, effect in effects(windows, metric).items():
            against = "" if state == IDLE else f"{_percent(effect.difference, effect.half)}"
            low, high = (
                effect.scatter * math.sqrt(effect.free / float(stats.chi2.ppf(q, effect.free)))
                for q in (0.975, 0.025)
            )
            scatter = f"{100 * effect.scatter:.2f} % ({100 * low:.2f} to {100 * high:.2f})"
            yield f"| `{metric}` | {state} | {counted[state]} | {against} | {scatter} |"


def _percent(difference: float, half: float) -> str:
    low, middle, high = (100 * math.expm1(difference + part * half) for part in (-1, 0, 1))
    return f"{middle:+.2f} % ({low:+.2f} to {high:+.2f})"


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("windows", type=Path, nargs="+", help="each run's windows.json")
    windows = [
        Measured(**{**row, "round": row["round"] + 1000 * number})
        for number, file in enumerate(parser.parse_args().windows)
        for row in json.loads(file.read_text())
    ]
    print("\n".join(table(windows)))


if __name__ == "__main__":
    main()
