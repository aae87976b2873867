"""Which benchmark an output is of, told by what it holds."""

from __future__ import annotations

from patchbench.parsing.grade import Log, read
from patchbench.parsing.layouts import LAYOUTS
from patchbench.parsing.result_json import Saved
from patchbench.parsing.text import Text
from patchbench.subject import BenchType

# What a saved result holds -> the benchmark that saved it; the first that fits.
SAVED_TYPES: tuple[tuple[str, BenchType], ...] = (
    ("latency_avg_s", "latency"),
    ("latency_total_s", "latency"),
    ("ttft_median_ms", "serving"),
    ("ttft_mean_ms", "serving"),
    ("e2e_mean_ms", "serving"),
    ("request_rate_rps", "throughput"),
)


def read_any(stdout: Log) -> Text:
    """What a log says, in whatever layout. The rare ones are looked for only if no common one is
    there: every layout costs a search of the whole log."""
    found = read(stdout, [layout for layout in LAYOUTS if layout.common])
    if found.result or found.torn:
        return found
    return read(stdout, [layout for layout in LAYOUTS if not layout.common])


def type_of(said: Text, saved: Saved | None) -> BenchType | None:
    """The type of a benchmark whose output was read, or None if it holds nothing."""
    if reading := said.result or said.torn:
        return reading.layout.type
    metrics = saved.metrics if saved else {}
    return next((type_ for name, type_ in SAVED_TYPES if name in metrics), None)
