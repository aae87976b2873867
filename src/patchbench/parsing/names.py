"""Canonical metric names, their units and directions, and what each engine calls them.

Sources: the printed rows and JSON keys of vLLM's and SGLang's benchmark clients, all versions.
"""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

Direction = Literal["lower", "higher", "check"]


class Metric(NamedTuple):
    """One canonical metric. ``direction`` says which way is better; "check" is never compared."""

    unit: str
    direction: Direction
    title: str


def _times(stem: str, title: str) -> dict[str, Metric]:
    kinds = ("mean", "median", "std", "p50", "p90", "p95", "p99")
    return {
        f"{stem}_{kind}_ms": Metric("ms", "check" if kind == "std" else "lower", f"{title}, {kind}")
        for kind in kinds
    }


METRICS: dict[str, Metric] = {
    **_times("ttft", "time to first token"),
    **_times("tpot", "time per output token"),
    **_times("itl", "inter-token latency"),
    **_times("e2e", "end-to-end latency"),
    "request_rate_rps": Metric("req/s", "higher", "request throughput"),
    "input_tps": Metric("tok/s", "higher", "input token throughput"),
    "output_tps": Metric("tok/s", "higher", "output token throughput"),
    "total_tps": Metric("tok/s", "higher", "total token throughput"),
    "latency_avg_s": Metric("s", "lower", "latency, mean"),
    **{
        f"latency_p{p}_s": Metric("s", "lower", f"latency, {p} % percentile")
        for p in (10, 25, 50, 75, 90, 99)
    },
    "cost_time_s": Metric("s", "lower", "time of the measured pass"),
    "completed": Metric("requests", "check", "completed requests"),
    "failed": Metric("requests", "check", "failed requests"),
    "duration_s": Metric("s", "check", "benchmark duration"),
    "input_tokens": Metric("tokens", "check", "input tokens"),
    "output_tokens": Metric("tokens", "check", "output tokens"),
}

# What a label or key is called, lower-cased and without unit -> canonical name.
ALIASES: dict[str, str] = {
    "request throughput": "request_rate_rps",
    "request_throughput": "request_rate_rps",
    "request_inthroughput": "request_rate_rps",  # sic, vLLM 0.3
    "requests_per_second": "request_rate_rps",
    "input token throughput": "input_tps",
    "input_throughput": "input_tps",
    "output token throughput": "output_tps",
    "output_throughput": "output_tps",
    "output_token_throughput": "output_tps",
    "total token throughput": "total_tps",
    "total throughput": "total_tps",
    "total_token_throughput": "total_tps",
    "total_throughput": "total_tps",
    "tokens_per_second": "total_tps",
    "avg latency": "latency_avg_s",
    "avg_latency": "latency_avg_s",
    "successful requests": "completed",
    "completed": "completed",
    "failed requests": "failed",
    "failed": "failed",
    "benchmark duration": "duration_s",
    "duration": "duration_s",
    "elapsed_time": "duration_s",
    "total input tokens": "input_tokens",
    "total_input_tokens": "input_tokens",
    "total num prompt tokens": "input_tokens",
    "total generated tokens": "output_tokens",
    "total_output_tokens": "output_tokens",
    "total num output tokens": "output_tokens",
}

_TIME_STEMS = {"ttft": "ttft", "tpot": "tpot", "itl": "itl"} | dict.fromkeys(
    ("e2el", "e2e latency", "e2e_latency"), "e2e"
)
_TIME = re.compile(
    r"(?P<kind>mean|median|std|p\d+)[ _](?P<stem>ttft|tpot|itl|e2el|e2e[ _]latency)(?:_ms)?"
)
_PERCENTILE = re.compile(r"(?P<p>\d+)% percentile latency")


def canonical(label: str) -> str | None:
    """The canonical name for a printed label or a JSON key, or None if it isn't a metric."""
    label = label.strip().lower()
    if label in ALIASES:
        return ALIASES[label]
    if found := _TIME.fullmatch(label):
        name = f"{_TIME_STEMS[found['stem']]}_{found['kind']}_ms"
        return name if name in METRICS else None
    if found := _PERCENTILE.fullmatch(label):
        name = f"latency_p{found['p']}_s"
        return name if name in METRICS else None
    return None
