"""What the predecessor recorded of a run, in canonical names: used only where its raw output holds
no result to read again.

Its names differ from file to file, and some of its numbers are not what they are called. Left out
are throughputs of latency runs (taken from an engine's log line) and those of baselines of
throughput runs (requests per second under the name of tokens per second): isobench.md 0.3, section
2.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from patchbench.parsing.names import METRICS, canonical
from patchbench.records import BASELINE
from patchbench.subject import BenchType

STEMS = ("ttft", "tpot", "itl")
KINDS = ("mean", "median", "p99")

# The name in a file -> our name and what to multiply by.
NAMES: dict[str, tuple[str, float]] = {
    **{f"{s}_{k}": (f"{s}_{k}_ms", 1.0) for s in STEMS for k in KINDS},
    **{f"{s}_{k}_ms": (f"{s}_{k}_ms", 1.0) for s in STEMS for k in KINDS},
    **{f"{k}_{s}_ms": (f"{s}_{k}_ms", 1.0) for s in STEMS for k in KINDS},
    "request_throughput_req_s": ("request_rate_rps", 1.0),
    "request_throughput": ("request_rate_rps", 1.0),
    "throughput_req_s": ("request_rate_rps", 1.0),
    "output_token_throughput_tok_s": ("output_tps", 1.0),
    "output_token_throughput": ("output_tps", 1.0),
    "output_throughput": ("output_tps", 1.0),
    "throughput_tok_s": ("output_tps", 1.0),
    "throughput": ("output_tps", 1.0),
    "total_token_throughput_tok_s": ("total_tps", 1.0),
    "input_throughput": ("input_tps", 1.0),
    "avg_latency_ms": ("latency_avg_s", 0.001),
    "latency_avg_ms": ("latency_avg_s", 0.001),
    "latency_avg": ("latency_avg_s", 0.001),
    "e2e_latency_mean": ("e2e_mean_ms", 1.0),
    "generate_time_s": ("cost_time_s", 1.0),
    "successful_requests": ("completed", 1.0),
    "benchmark_duration_s": ("duration_s", 1.0),
    "total_input_tokens": ("input_tokens", 1.0),
    "total_generated_tokens": ("output_tokens", 1.0),
}
# Known and of no use: times of a warm-up, sums that differ in meaning from file to file.
SKIPPED = ("warmup_time_s", "elapsed_time_s", "total_tokens", "p50_latency_ms", "p99_latency_ms")
THROUGHPUTS = ("request_rate_rps", "output_tps", "total_tps", "input_tps")
# Of baselines of throughput runs these hold requests per second.
MISNAMED = ("output_token_throughput_tok_s", "throughput_tok_s")


def known(name: str) -> bool:
    """Whether a recorded name means something to us, if only that it is to be skipped."""
    return name in NAMES or name in SKIPPED or canonical(name) is not None


def metrics(found: Mapping[str, Any], arm: str, type_: BenchType | None) -> dict[str, float]:
    """Recorded values in canonical names; those that are not what they are called are left out."""
    out: dict[str, float] = {}
    for name, value in found.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or name in SKIPPED:
            continue
        ours, factor = NAMES.get(name) or (canonical(name) or "", 1.0)
        false = type_ == "latency" and ours in THROUGHPUTS
        misnamed = type_ == "throughput" and arm == BASELINE and name in MISNAMED
        if ours in METRICS and not (false or misnamed):
            out[ours] = float(value) * factor
    return out


def type_of(found: Mapping[str, float]) -> BenchType | None:
    """The benchmark that such metrics are of."""
    if any(name.startswith(STEMS) for name in found):
        return "serving"
    if "latency_avg_s" in found:
        return "latency"
    if "cost_time_s" in found:
        return "prefix_caching"
    return "throughput" if any(name in THROUGHPUTS for name in found) else None
