"""Reading metrics from what a benchmark printed.

Serving rows count only inside a result box: outside, ``Traffic request rate: inf`` looks the
same. Log prefixes, ANSI colours and progress bars on the same line are taken off first.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from patchbench.parsing.names import canonical
from patchbench.records import BenchType

NUMBER = r"[-+]?(?:\d[\d,]*\.?\d*(?:[eE][-+]?\d+)?|inf|nan)"
ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
PREFIX = re.compile(r"^(?:\[\d+,\d+\]<std(?:out|err)>:|\((?:\w+ )?pid=\d+\) ?)+")
ROW = re.compile(
    rf"^[ \t]*(?P<label>[A-Z0-9][^:\n]*?)[ \t]*(?:\((?P<unit>[a-z/%]+|RPS)\))?:"
    rf"[ \t]+(?P<value>{NUMBER})[ \t]*(?P<suffix>ms|s|seconds|requests/s|tokens/s|%)?[ \t]*$"
)
BOX_START = re.compile(r"^=+ (?P<title>[A-Z][A-Za-z ]+ Benchmark Result) =+[ \t]*$")
BOX_END = re.compile(r"^={20,}[ \t]*$")
THROUGHPUT = re.compile(
    rf"^Throughput:\s+(?P<requests>{NUMBER}) requests/s, (?P<total>{NUMBER}) (?:total )?tokens/s"
    rf"(?:, (?P<output>{NUMBER}) output tokens/s)?"
)

# benchmark_prefix_caching.py prints `cost time 3.59` for the warm-up, then for the measured pass.
COST_TIME = re.compile(rf"^cost time (?P<seconds>{NUMBER})[ \t]*$")


class Reading(NamedTuple):
    """Metrics as printed, in canonical names, and the line on which they begin (1-based)."""

    metrics: dict[str, float]
    line: int
    format: str
    others: tuple[dict[str, float], ...] = ()


def clean(line: str) -> str:
    """A line without colours, log prefixes and what a progress bar wrote before it."""
    line = ANSI.sub("", line.rstrip("\r\n"))
    return PREFIX.sub("", line.rsplit("\r", 1)[-1])


def number(text: str) -> float:
    """A printed number; thousands separators are taken out."""
    return float(text.replace(",", ""))


def row(line: str) -> tuple[str, float] | None:
    """A canonical metric and its value from one printed row."""
    found = ROW.match(line)
    if not found:
        return None
    name = canonical(found["label"])
    return (name, number(found["value"])) if name else None


def boxes(lines: Iterable[str]) -> Iterator[Reading]:
    """Every result box of a serving client, in order, complete or not."""
    title, start = "", 0
    metrics: dict[str, float] = {}
    for at, raw in enumerate(lines, 1):
        line = clean(raw)
        if begin := BOX_START.match(line):
            title, start, metrics = begin["title"], at, {}
        elif start and BOX_END.match(line):
            yield Reading(metrics, start, title)
            start = 0
        elif start and (found := row(line)):
            metrics.setdefault(*found)


def read_text(lines: Iterable[str], type_: BenchType) -> Reading | None:
    """The last complete result of this type in a log, or None."""
    if type_ == "serving":
        complete = [box for box in boxes(lines) if "completed" in box.metrics]
        if not complete:
            return None
        return complete[-1]._replace(others=tuple(box.metrics for box in complete[:-1]))
    reader = READERS[type_]
    metrics: dict[str, float] = {}
    first = 0
    for at, raw in enumerate(lines, 1):
        found = reader(clean(raw))
        if found:
            first = first or at
            metrics.update(found)
    return Reading(metrics, first, f"vllm {type_} text") if metrics else None


def _latency(line: str) -> dict[str, float]:
    found = row(line)
    return dict([found]) if found and found[0].startswith("latency_") else {}


def _throughput(line: str) -> dict[str, float]:
    if found := THROUGHPUT.match(line):
        named = {
            "request_rate_rps": found["requests"],
            "total_tps": found["total"],
            "output_tps": found["output"],
        }
        return {name: number(value) for name, value in named.items() if value is not None}
    counted = row(line)
    return dict([counted]) if counted and counted[0].endswith("_tokens") else {}


def _prefix_caching(line: str) -> dict[str, float]:
    # One line per pass; the last pass is the measured one, and later lines overwrite earlier ones.
    found = COST_TIME.match(line)
    return {"cost_time_s": number(found["seconds"])} if found else {}


READERS = {"latency": _latency, "throughput": _throughput, "prefix_caching": _prefix_caching}


def finite(metrics: dict[str, float]) -> dict[str, float]:
    """Metrics without those that aren't finite numbers."""
    return {name: value for name, value in metrics.items() if math.isfinite(value)}
