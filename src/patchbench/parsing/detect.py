"""Detection of the benchmark that wrote an output, from the contents."""

from __future__ import annotations

from patchbench.parsing.layouts import LAYOUTS
from patchbench.parsing.read_output import Log, read_log
from patchbench.parsing.result_json import Saved
from patchbench.parsing.text import Text
from patchbench.subject import BenchType

# A metric of a saved result -> the benchmark that saved it; the first that fits counts.
SAVED_TYPES: tuple[tuple[str, BenchType], ...] = (
    ("latency_avg_s", "latency"),
    ("latency_total_s", "latency"),
    ("ttft_median_ms", "serving"),
    ("ttft_mean_ms", "serving"),
    ("e2e_mean_ms", "serving"),
    ("request_rate_rps", "throughput"),
)


def read_any(stdout: Log) -> Text:
    """Read a log in any layout. The rare ones are searched for only if no common one occurs: every
    layout costs a search of the whole log."""
    common = read_log(stdout, [layout for layout in LAYOUTS if layout.common])
    if common.result:
        return common
    rare = read_log(stdout, [layout for layout in LAYOUTS if not layout.common])
    return rare if rare.result or (rare.partial and not common.partial) else common


def bench_type(text: Text, saved: Saved | None) -> BenchType | None:
    """Return the type of the benchmark, or None if the output holds no result."""
    if reading := text.result or text.partial:
        return reading.layout.type
    metrics = saved.metrics if saved else {}
    return next((type_ for name, type_ in SAVED_TYPES if name in metrics), None)
