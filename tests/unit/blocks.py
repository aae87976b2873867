"""Output of benchmark clients in the layout of each version, with numbers of our own.

Labels fill 40 columns, values 10, so rows end in blanks; titles are centred in 50 columns.
"""

from __future__ import annotations

END = "=" * 50


def row(label: str, value: object) -> str:
    """One printed row."""
    return f"{label:<40} {value:<10}"


def title(text: str) -> str:
    """The title of a section."""
    return f"{text:-^50}"


def box(*lines: str, name: str = "Serving Benchmark Result") -> str:
    """A whole result box."""
    return "\n".join((f" {name} ".center(50, "="), *lines, END)) + "\n"


def times(stem: str, mean: float, median: float, p99: float, *more: str) -> tuple[str, ...]:
    """The rows of one section of times."""
    return (
        row(f"Mean {stem} (ms):", f"{mean:.2f}"),
        row(f"Median {stem} (ms):", f"{median:.2f}"),
        *more,
        row(f"P99 {stem} (ms):", f"{p99:.2f}"),
    )


COUNTS = (
    row("Successful requests:", 250),
    row("Benchmark duration (s):", "20.00"),
    row("Total input tokens:", 50000),
    row("Total generated tokens:", 40000),
    row("Request throughput (req/s):", "12.50"),
)
TTFT = (title("Time to First Token"), *times("TTFT", 210.5, 190.25, 480.75))
TPOT = (title("Time per Output Token (excl. 1st token)"), *times("TPOT", 21.5, 20.25, 44.0))
ITL = (title("Inter-token Latency"), *times("ITL", 19.5, 18.25, 61.0))

V3 = box(
    *COUNTS,
    row("Input token throughput (tok/s):", "2500.00"),
    row("Output token throughput (tok/s):", "2000.00"),
    *TTFT,
    *TPOT,
    *ITL,
)
V6 = (
    "Traffic request rate: inf\nMaximum request concurrency: 4\n"
    "tip: install termplotlib and gnuplot to plot the metrics\n"
) + box(
    COUNTS[0],
    row("Failed requests:", 0),
    row("Maximum request concurrency:", 4),
    *COUNTS[1:],
    row("Output token throughput (tok/s):", "2000.00"),
    row("Peak output token throughput (tok/s):", "9999.00"),
    row("Peak concurrent requests:", "77.00"),
    row("Total token throughput (tok/s):", "4500.00"),
    *TTFT[:3],
    row("P50 TTFT (ms):", "190.25"),
    row("P90 TTFT (ms):", "400.25"),
    *TTFT[3:],
    TPOT[0],
    *times("TPOT", 1.1, 0.0, 5.0),
    *ITL,
    title("End-to-end Latency"),
    *times("E2EL", 1500.5, 1400.25, 2900.0),
    title("Speculative Decoding"),
    row("Acceptance rate (%):", "61.00"),
    row("Acceptance length:", "2.50"),
    "Per-position acceptance (%):",
    row("  Position 0:", "80.00"),
)
SGLANG_046 = "\n" + box(
    row("Backend:", "sglang"),
    row("Traffic request rate:", "inf"),
    row("Max reqeuest concurrency:", "not set"),
    *COUNTS[:4],
    row("Total generated tokens (retokenized):", 39876),
    COUNTS[4],
    row("Input token throughput (tok/s):", "2500.00"),
    row("Output token throughput (tok/s):", "2000.00"),
    row("Total token throughput (tok/s):", "4500.00"),
    row("Concurrency:", "7.90"),
    row("Accept length:", "2.10"),
    title("End-to-End Latency"),
    row("Mean E2E Latency (ms):", "1500.50"),
    row("Median E2E Latency (ms):", "1400.25"),
    *TTFT,
    title("Inter-Token Latency"),
    *times("ITL", 19.5, 18.25, 61.0, row("P95 ITL (ms):", "40.00")),
    row("Max ITL (ms):", "90.00"),
)
IN_V3 = {
    "completed": 250, "duration_s": 20.0, "input_tokens": 50000, "output_tokens": 40000,
    "request_rate_rps": 12.5, "input_tps": 2500.0, "output_tps": 2000.0,
    "ttft_mean_ms": 210.5, "ttft_median_ms": 190.25, "ttft_p99_ms": 480.75,
    "tpot_mean_ms": 21.5, "tpot_median_ms": 20.25, "tpot_p99_ms": 44.0,
    "itl_mean_ms": 19.5, "itl_median_ms": 18.25, "itl_p99_ms": 61.0,
}  # fmt: skip
LATENCY = """\
Warming up...
Avg latency: 2.5 seconds
10% percentile latency: 2.25 seconds
25% percentile latency: 2.375 seconds
50% percentile latency: 2.4375 seconds
75% percentile latency: 2.625 seconds
90% percentile latency: 2.75 seconds
99% percentile latency: 3.125 seconds
"""
THROUGHPUT_NEW = (
    "Throughput: 12.50 requests/s, 4500.00 total tokens/s, 2000.00 output tokens/s\n"
    "Total num prompt tokens:  50000\n"
    "Total num output tokens:  40000\n"
)
