"""Canonical names of metrics, their units and directions, and their names in each tool.

Sources: the printed rows and JSON keys of vLLM's and SGLang's benchmark clients, all versions; the
judge's metrics have the same names, and costs (start-up, memory, energy) are measured from outside.
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
    kinds = ("mean", "median", "std", "p10", "p25", "p50", "p75", "p90", "p95", "p99")
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
    "latency_total_s": Metric("s", "lower", "latency of one batch"),
    "prefill_latency_s": Metric("s", "lower", "latency of the prefill"),
    "prefill_tps": Metric("tok/s", "higher", "throughput of the prefill"),
    "decode_latency_s": Metric("s", "lower", "latency of a decoding step"),
    "decode_tps": Metric("tok/s", "higher", "throughput of decoding"),
    "ttft_batch_s": Metric("s", "lower", "time to the batch's first token"),
    "token_latency_mean_ms": Metric("ms", "lower", "latency per token, mean"),
    "output_token_latency_mean_ms": Metric("ms", "lower", "latency per output token, mean"),
    "cost_time_s": Metric("s", "lower", "time of the measured pass"),
    "goodput_rps": Metric("req/s", "higher", "requests within the given limits"),
    "startup_s": Metric("s", "lower", "start of the server"),
    "gpu_memory_peak_mib": Metric("MiB", "lower", "highest memory of a GPU"),
    "joules_per_token": Metric("J/tok", "lower", "energy of the GPUs per output token"),
    "cpu_s": Metric("s", "lower", "processor time of the server"),
    "completed": Metric("requests", "check", "completed requests"),
    "failed": Metric("requests", "check", "failed requests"),
    "duration_s": Metric("s", "check", "benchmark duration"),
    "claimed_s": Metric("s", "check", "measured time that the benchmark claims"),
    "clock_s": Metric("s", "check", "benchmark duration by the clock outside"),
    "input_tokens": Metric("tokens", "check", "input tokens"),
    "output_tokens": Metric("tokens", "check", "output tokens"),
}

# Names of a metric in the tools: printed labels and JSON keys, in lower case and without unit.
TOOL_NAMES: dict[str, tuple[str, ...]] = {
    "request_rate_rps": (
        "request throughput",
        "request_throughput",
        "request_inthroughput",  # sic, vLLM 0.3
        "requests_per_second",
    ),
    "input_tps": ("input token throughput", "input throughput", "input_throughput"),
    "output_tps": (
        "output token throughput",
        "output throughput",
        "output_throughput",
        "output_token_throughput",
    ),
    "total_tps": (
        "total token throughput",
        "total throughput",
        "(input + output) throughput",
        "total_token_throughput",
        "total_throughput",
        "overall_throughput",
        "tokens_per_second",
    ),
    "e2e_mean_ms": ("average latency",),
    "token_latency_mean_ms": ("average latency per token",),
    "output_token_latency_mean_ms": ("average latency per output token",),
    "latency_avg_s": ("avg latency", "avg_latency"),
    "latency_total_s": ("latency", "total_latency"),
    "prefill_latency_s": ("prefill_latency",),
    "prefill_tps": ("prefill_throughput",),
    "decode_latency_s": ("median_decode_latency", "avg_decode_latency"),
    "decode_tps": ("median_decode_throughput", "avg_decode_throughput"),
    "ttft_batch_s": ("ttft", "last_ttft"),
    "completed": ("successful requests", "completed", "successful_requests"),
    "failed": ("failed requests", "failed"),
    "duration_s": (
        "benchmark duration",
        "total time",
        "duration",
        "elapsed_time",
        "benchmark_duration",
    ),
    "input_tokens": (
        "total input tokens",
        "total num prompt tokens",
        "total_input_tokens",
        "total_input",
    ),
    "output_tokens": (
        "total generated tokens",
        "total num output tokens",
        "total_output_tokens",
        "total_output",
    ),
}
ALIASES = {alias: name for name, aliases in TOOL_NAMES.items() for alias in aliases}

_TIME_STEMS = {"ttft": "ttft", "tpot": "tpot", "itl": "itl"} | dict.fromkeys(
    ("e2el", "e2e latency", "e2e_latency"), "e2e"
)
_TIME = re.compile(
    r"(?P<kind>mean|median|std|p\d+)[ _](?P<stem>ttft|tpot|itl|e2el|e2e[ _]latency)(?:_ms)?"
)
_PERCENTILE = re.compile(r"(?P<p>\d+)% percentile latency")


def canonical(label: str) -> str | None:
    """Return the canonical name of a printed label or JSON key, or None if it is no metric."""
    label = label.strip().lower()
    if label in ALIASES:
        return ALIASES[label]
    if match := _TIME.fullmatch(label):
        name = f"{_TIME_STEMS[match['stem']]}_{match['kind']}_ms"
    elif match := _PERCENTILE.fullmatch(label):
        name = f"latency_p{match['p']}_s"
    else:
        return None
    return name if name in METRICS else None
