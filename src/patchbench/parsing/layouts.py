"""Every layout in which a benchmark prints its result, as one table.

A layout is a group of lines: one begins it, rows follow, and in a box one ends it. Its ``anchor``
is a literal text near every such group, so that all other lines of a log cost almost nothing.
Version numbers are those of vLLM and SGLang.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

from patchbench.parsing.lines import NUMBER, number, row
from patchbench.parsing.names import METRICS
from patchbench.subject import BenchType

Metrics = dict[str, float]


class Layout(NamedTuple):
    """Layout of one tool's result. A group without the metrics ``needs`` is partial (cut off, or
    an echo of some rows); ``window`` lines after the anchor may belong to a group. A line like
    ``void`` shows that the group before it was a warm-up, one like ``stop`` that the next is one.
    If the type is unknown, ``common`` layouts are searched for first: each costs a search of the
    log. ``begin`` is a text that the tool prints once per run, before its result."""

    name: str
    type: BenchType
    anchor: bytes
    start: re.Pattern[str]
    rows: Callable[[str], Metrics]
    needs: frozenset[str]
    end: re.Pattern[str] | None = None
    void: re.Pattern[str] | None = None
    stop: re.Pattern[str] | None = None
    window: int = 40
    begin: bytes = b""
    common: bool = False
    sglang: bool = False


def _row(line: str) -> Metrics:
    parsed = row(line)
    return {parsed[0]: parsed[1]} if parsed else {}


def _row_with_unit(line: str) -> Metrics:
    """Read a row with a unit, or a count. Without a unit, the number may be cut off."""
    parsed = row(line)
    counted = parsed and METRICS[parsed[0]].unit in ("requests", "tokens")
    return {parsed[0]: parsed[1]} if parsed and (parsed[2] or counted) else {}


THROUGHPUT = re.compile(
    rf"^Throughput:\s+(?P<request_rate_rps>{NUMBER}) requests/s"
    rf"(?:, (?P<total_tps>{NUMBER}) (?:total )?tokens/s"
    rf"(?:, (?P<output_tps>{NUMBER}) output tokens/s)?)?\s*$"
)
COST_TIME = re.compile(rf"^cost time (?P<cost_time_s>{NUMBER})\s*$")
ONE_BATCH = (
    re.compile(
        rf"^Prefill\. latency:\s+(?P<prefill_latency_s>{NUMBER}) s, "
        rf"throughput:\s+(?P<prefill_tps>{NUMBER}) token/s\s*$"
    ),
    re.compile(  # 0.2.13 has the mean
        rf"^Decode\.\s+(?:median|avg) latency:\s+(?P<decode_latency_s>{NUMBER}) s, "
        rf"(?:median|avg) throughput:\s+(?P<decode_tps>{NUMBER}) token/s\s*$"
    ),
    re.compile(
        rf"^Total\. latency:\s+(?P<latency_total_s>{NUMBER}) s, "
        rf"throughput:\s+(?P<total_tps>{NUMBER}) token/s\s*$"
    ),
)


def _named(line: str, *patterns: re.Pattern[str]) -> Metrics:
    """Return the named groups of the first pattern that matches."""
    for pattern in patterns:
        if match := pattern.match(line):
            return {name: number(text) for name, text in match.groupdict().items() if text}
    return {}


def _throughput(line: str) -> Metrics:
    return _named(line, THROUGHPUT) or {
        name: value for name, value in _row(line).items() if name.endswith("_tokens")
    }


def _old_serving(line: str) -> Metrics:
    return _named(line, THROUGHPUT) or _row_with_unit(line)


def _cost_time(line: str) -> Metrics:
    return _named(line, COST_TIME)


def _one_batch(line: str) -> Metrics:
    return _named(line, *ONE_BATCH)


BOX_END = re.compile(r"^\s*={20,}\s*$")

LAYOUTS: tuple[Layout, ...] = (
    Layout(  # vLLM 0.4 and later, SGLang's bench_serving, and home-made clients
        "serving box",
        "serving",
        b" Benchmark Result ",
        re.compile(r"^\s*=+ (?!Offline)[A-Z][A-Za-z ]+ Benchmark Result =+\s*$"),
        _row,
        frozenset({"completed"}),
        BOX_END,
        window=400,
        sglang=True,
        common=True,
    ),
    Layout(
        "sglang offline box",
        "throughput",
        b" Offline Throughput Benchmark Result ",
        re.compile(r"^\s*=+ Offline Throughput Benchmark Result =+\s*$"),
        _row,
        frozenset({"completed"}),
        BOX_END,
        window=400,
        sglang=True,
    ),
    Layout(
        "vllm throughput line",
        "throughput",
        b"Throughput: ",
        re.compile(r"^Throughput: .* tokens/s"),
        _throughput,
        frozenset({"request_rate_rps", "total_tps"}),
        common=True,
    ),
    Layout(
        "vllm latency rows",
        "latency",
        b"Avg latency: ",
        re.compile(r"^Avg latency: "),
        _row_with_unit,
        frozenset({"latency_avg_s"}),
        begin=b"Warming up...",
        common=True,
    ),
    Layout(  # the warm-up is printed before the anchor
        "vllm prefix caching",
        "prefix_caching",
        b"------start generating------",
        re.compile(r"^-+start generating-+\s*$"),
        _cost_time,
        frozenset({"cost_time_s"}),
        COST_TIME,
        stop=re.compile(r"^-+warm up-+\s*$"),
        window=20_000,
        common=True,
    ),
    Layout(  # vLLM 0.3
        "vllm serving rows",
        "serving",
        b"Successful requests: ",
        re.compile(r"^Successful requests: \d+\s*$"),
        _row_with_unit,
        frozenset({"completed", "request_rate_rps", "ttft_mean_ms"}),
    ),
    Layout(  # vLLM 0.1 and 0.2
        "vllm serving lines",
        "serving",
        b"Total time: ",
        re.compile(r"^Total time: \S+ s\s*$"),
        _old_serving,
        frozenset({"request_rate_rps", "e2e_mean_ms"}),
    ),
    Layout(  # the warm-up is before the anchor here too
        "sglang one batch",
        "latency",
        b"Benchmark ...",
        re.compile(r"^Prefill\. latency: "),
        _one_batch,
        frozenset({"latency_total_s"}),
        ONE_BATCH[-1],
        stop=re.compile(r"^Warmup \.\.\."),
        window=20_000,
        sglang=True,
    ),
    Layout(
        "sglang one batch on a server",
        "latency",
        b"batch size: ",
        re.compile(r"^batch size: \d+\s*$"),
        _row_with_unit,
        frozenset({"latency_total_s"}),
        void=re.compile(r"^=+ Warmup End +=+\s*$"),
        sglang=True,
    ),
)
