"""Telemetry: the GPUs' clocks, power, temperature, memory and throttling beside a run, once a
second, in ``telemetry.csv``. Times are UTC in ISO 8601."""

from __future__ import annotations

import csv
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from patchbench.system import gpu_driver
from patchbench.system.gpu_driver import FIGURES

FILE = "telemetry.csv"
SECONDS = 1.0
COLUMNS = ("at", "gpu", *FIGURES, "throttle")
IDLE = "idle"
UTILISATION = "utilisation_pct"


@contextmanager
def recorded(gpus: Sequence[str], folder: Path, seconds: float = SECONDS) -> Iterator[None]:
    """Write ``folder / telemetry.csv`` while the body runs: a row for each GPU (index or UUID) now,
    every ``seconds`` and at the end. Does nothing if there is no GPU."""
    over = threading.Event()
    # In a thread: a broken driver may never answer, and the run must go on.
    thread = threading.Thread(
        target=_record, args=(gpus, folder / FILE, seconds, over), daemon=True
    )
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(gpu_driver.ANSWER_SECONDS)


def _record(gpus: Sequence[str], path: Path, seconds: float, over: threading.Event) -> None:
    with gpu_driver.driver() as nvml:
        handles = gpu_driver.handles(nvml, gpus)
        if not handles:
            return
        # A full disk stops the recording; the job itself will meet it and report it.
        with suppress(OSError), path.open("w", newline="", encoding="utf-8") as out:
            writer = csv.writer(out, lineterminator="\n")
            writer.writerow(COLUMNS)
            last = False
            while not last:
                last = over.is_set()
                for gpu, handle in handles.items():
                    at = datetime.now(UTC).isoformat(timespec="milliseconds")
                    writer.writerow([at, gpu, *gpu_driver.sample(nvml, handle)])
                out.flush()
                over.wait(0 if last else seconds)


class Summary(NamedTuple):
    """A run's telemetry over all of its GPUs: figures by column, and the reasons for lowered clocks
    at any time (idleness apart). ``working`` is the share of samples in which a kernel ran, None if
    unknown. Means are over those samples alone: a GPU that waits for a server's imports says
    nothing about the measurement."""

    samples: int
    working: float | None
    mean: dict[str, float]
    highest: dict[str, float]
    lowest: dict[str, float]
    throttle: tuple[str, ...]


def summary(path: Path) -> Summary | None:
    """Summarise a telemetry file; None if there is none, or no sample in it. Rows that were cut off
    are left out."""
    rows = _rows(path)
    if not rows:
        return None
    samples = [_figures(row) for row in rows]
    at_work = [sample for sample in samples if sample.get(UTILISATION)]
    known = sum(UTILISATION in sample for sample in samples)
    columns, working = _columns(samples), _columns(at_work or samples)
    throttle = {reason for row in rows for reason in row["throttle"].split()}
    return Summary(
        samples=len(rows),
        working=len(at_work) / known if known else None,
        mean={name: sum(values) / len(values) for name, values in working.items()},
        highest={name: max(values) for name, values in columns.items()},
        lowest={name: min(values) for name, values in columns.items()},
        throttle=tuple(sorted(throttle - {IDLE})),
    )


def energy(path: Path, begin: datetime, end: datetime) -> float | None:
    """Return the joules that a run's GPUs took between two moments, by the trapezoidal rule over
    the samples around them; None if the samples of any GPU don't reach from one to the other."""
    samples: dict[str, list[tuple[float, float]]] = {}
    for row in _rows(path):
        with suppress(ValueError):
            at = datetime.fromisoformat(row["at"]).timestamp()
            samples.setdefault(row["gpu"], []).append((at, float(row["power_w"])))
    span = begin.timestamp(), end.timestamp()
    joules = [_integral(sorted(of_gpu), *span) for of_gpu in samples.values()]
    known = [value for value in joules if value is not None]
    return sum(known) if known and len(known) == len(joules) else None


def _integral(samples: Sequence[tuple[float, float]], begin: float, end: float) -> float | None:
    """Return the integral of (time, value) samples, linear between them; None if they don't reach
    from ``begin`` to ``end``."""
    if not samples or samples[0][0] > begin or samples[-1][0] < end:
        return None
    total = 0.0
    for (t0, v0), (t1, v1) in pairwise(samples):
        low, high = max(t0, begin), min(t1, end)
        if low < high:
            slope = (v1 - v0) / (t1 - t0)
            total += (high - low) * (v0 + slope * ((low + high) / 2 - t0))
    return total


def _rows(path: Path) -> list[dict[str, str]]:
    try:
        with path.open(newline="", encoding="utf-8", errors="replace") as lines:
            rows = csv.DictReader(lines)
            return [row for row in rows if row.keys() >= {*COLUMNS} and None not in row.values()]
    except (OSError, csv.Error):
        return []


def _figures(row: Mapping[str, str]) -> dict[str, float]:
    figures = {}
    for name in FIGURES:
        with suppress(ValueError):
            figures[name] = float(row[name])
    return figures


def _columns(samples: Sequence[Mapping[str, float]]) -> dict[str, list[float]]:
    columns = {name: [s[name] for s in samples if name in s] for name in FIGURES}
    return {name: values for name, values in columns.items() if values}
