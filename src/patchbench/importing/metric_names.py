"""Metrics under the names that ISO-Bench's harness recorded, in canonical names.

They are used only if the raw output of a run holds no result. Names differ from file to file, and
some names are wrong: throughputs of latency runs come from a log line of the
engine, and throughputs of baselines of throughput runs hold requests per second under the name of
tokens per second. Both are left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from patchbench.parsing.names import METRICS, canonical
from patchbench.records import BASELINE
from patchbench.subject import BenchType

STEMS = ("ttft", "tpot", "itl")
KINDS = ("mean", "median", "p99")
# Recorded name -> canonical name and factor.
NAMES: dict[str, tuple[str, float]] = {
    **{
        recorded: (f"{stem}_{kind}_ms", 1.0)
        for stem in STEMS
        for kind in KINDS
        for recorded in (f"{stem}_{kind}", f"{stem}_{kind}_ms")
    },
    "request_throughput_req_s": ("request_rate_rps", 1.0),
    "throughput_req_s": ("request_rate_rps", 1.0),
    "output_token_throughput_tok_s": ("output_tps", 1.0),
    "throughput_tok_s": ("output_tps", 1.0),
    "throughput": ("output_tps", 1.0),
    "total_token_throughput_tok_s": ("total_tps", 1.0),
    "avg_latency_ms": ("latency_avg_s", 0.001),
    "latency_avg_ms": ("latency_avg_s", 0.001),
    "latency_avg": ("latency_avg_s", 0.001),
    "e2e_latency_mean": ("e2e_mean_ms", 1.0),
    "generate_time_s": ("cost_time_s", 1.0),
    "benchmark_duration_s": ("duration_s", 1.0),
    "total_generated_tokens": ("output_tokens", 1.0),
}
# Times of a warm-up, and sums that differ in meaning from file to file.
SKIPPED = ("warmup_time_s", "elapsed_time_s", "total_tokens", "p50_latency_ms", "p99_latency_ms")
THROUGHPUTS = ("request_rate_rps", "output_tps", "total_tps", "input_tps")
# Requests per second, in baselines of throughput runs.
MISNAMED = ("output_token_throughput_tok_s", "throughput_tok_s")


def is_known(name: str) -> bool:
    """Return True if a recorded name is a metric, or one of those to be skipped."""
    return name in NAMES or name in SKIPPED or canonical(name) is not None


def canonical_values(
    recorded: Mapping[str, Any], arm: str, type_: BenchType | None
) -> dict[str, float]:
    """Return recorded values under canonical names, without those whose name is wrong."""
    values: dict[str, float] = {}
    for recorded_name, value in recorded.items():
        if isinstance(value, bool) or not isinstance(value, int | float):
            continue
        if recorded_name in SKIPPED:
            continue
        name, factor = NAMES.get(recorded_name) or (canonical(recorded_name) or "", 1.0)
        from_log = type_ == "latency" and name in THROUGHPUTS
        misnamed = type_ == "throughput" and arm == BASELINE and recorded_name in MISNAMED
        if name in METRICS and not (from_log or misnamed):
            values[name] = float(value) * factor
    return values


def type_of(values: Mapping[str, float]) -> BenchType | None:
    """Return the type of the benchmark that reports such metrics."""
    if any(name.startswith(STEMS) for name in values):
        return "serving"
    if "latency_avg_s" in values:
        return "latency"
    if "cost_time_s" in values:
        return "prefix_caching"
    return "throughput" if any(name in THROUGHPUTS for name in values) else None
