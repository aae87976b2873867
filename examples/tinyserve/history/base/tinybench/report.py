"""The printed serving result: the layout of `vllm bench serve` (0.11 and later)."""

from collections.abc import Sequence

from tinybench.metrics import METRIC_NAMES


def row(label: str, value: object) -> str:
    return f"{label:<40} {value:<10}"


def serving_box(
    summary: dict,
    max_concurrency: int | None,
    request_rate: float,
    selected: Sequence[str],
    percents: Sequence[float],
) -> str:
    """The boxed block of results as text."""
    lines = [
        f"{' Serving Benchmark Result ':=^50}",
        row("Successful requests:", summary["completed"]),
        row("Failed requests:", summary["failed"]),
    ]
    if max_concurrency is not None:
        lines.append(row("Maximum request concurrency:", max_concurrency))
    if request_rate != float("inf"):
        lines.append(row("Request rate configured (RPS):", f"{request_rate:.2f}"))
    for label, key in (
        ("Benchmark duration (s):", "duration"),
        ("Total input tokens:", "total_input_tokens"),
        ("Total generated tokens:", "total_output_tokens"),
        ("Request throughput (req/s):", "request_throughput"),
        ("Output token throughput (tok/s):", "output_throughput"),
        ("Peak output token throughput (tok/s):", "max_output_tokens_per_s"),
        ("Peak concurrent requests:", "max_concurrent_requests"),
        ("Total token throughput (tok/s):", "total_token_throughput"),
    ):
        counted = key in ("total_input_tokens", "total_output_tokens")
        lines.append(row(label, summary[key] if counted else f"{summary[key]:.2f}"))
    for name in METRIC_NAMES:
        if name not in selected:
            continue
        short, title = METRIC_NAMES[name]
        lines.append(f"{title:-^50}")
        lines.append(row(f"Mean {short} (ms):", f"{summary[f'mean_{name}_ms']:.2f}"))
        lines.append(row(f"Median {short} (ms):", f"{summary[f'median_{name}_ms']:.2f}"))
        for percent in percents:
            value = summary[f"p{percent:g}_{name}_ms"]
            lines.append(row(f"P{percent:g} {short} (ms):", f"{value:.2f}"))
    lines.append("=" * 50)
    return "\n".join(lines)
