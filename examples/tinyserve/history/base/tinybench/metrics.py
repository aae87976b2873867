"""From per-request measurements to the numbers of a serving result."""

from collections import Counter
from collections.abc import Sequence
from math import floor, sqrt

from tinybench.client import RequestResult

METRIC_NAMES = {
    "ttft": ("TTFT", "Time to First Token"),
    "tpot": ("TPOT", "Time per Output Token (excl. 1st token)"),
    "itl": ("ITL", "Inter-token Latency"),
    "e2el": ("E2EL", "End-to-end Latency"),
}


def percentile(values: Sequence[float], percent: float) -> float:
    """Percentile with linear interpolation between the closest ranks; 0 if there is no value."""
    ordered = sorted(values)
    if not ordered:
        return 0.0
    rank = (len(ordered) - 1) * percent / 100.0
    low = floor(rank)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (rank - low)


def mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0


def standard_deviation(values: Sequence[float]) -> float:
    """Population standard deviation."""
    centre = mean(values)
    return sqrt(mean([(value - centre) ** 2 for value in values]))


def per_second_peaks(results: Sequence[RequestResult], origin: float) -> tuple[float, int]:
    """Most output tokens, and most requests in flight, in any whole second since `origin`."""
    tokens: Counter[int] = Counter()
    in_flight: Counter[int] = Counter()
    for result in results:
        moment = result.start_time + result.ttft
        tokens[int(moment - origin)] += 1
        for gap in result.itl:
            moment += gap
            tokens[int(moment - origin)] += 1
        first = int(result.start_time - origin)
        for second in range(first, int(result.start_time + result.latency - origin) + 1):
            in_flight[second] += 1
    return float(max(tokens.values(), default=0)), max(in_flight.values(), default=0)


def summarise(
    results: Sequence[RequestResult],
    duration: float,
    origin: float,
    selected: Sequence[str],
    percents: Sequence[float],
) -> dict:
    """Counts, rates, and for each selected metric mean, median, std and percentiles in ms."""
    good = [result for result in results if result.success]
    total_input = sum(result.prompt_len for result in good)
    total_output = sum(result.output_len for result in good)
    peak_tokens, peak_requests = per_second_peaks(good, origin)
    summary = {
        "duration": duration,
        "completed": len(good),
        "failed": len(results) - len(good),
        "total_input_tokens": total_input,
        "total_output_tokens": total_output,
        "request_throughput": len(good) / duration,
        "request_goodput": None,
        "output_throughput": total_output / duration,
        "total_token_throughput": (total_input + total_output) / duration,
        "input_lens": [result.prompt_len for result in results],
        "output_lens": [result.output_len for result in results],
        "ttfts": [result.ttft for result in results],
        "itls": [result.itl for result in results],
        "latencies": [result.latency for result in results],
        "start_times": [result.start_time for result in results],
        "queue_times": [result.queue_time for result in results],
        "generated_texts": [result.text for result in results],
        "errors": [result.error for result in results],
        "max_output_tokens_per_s": peak_tokens,
        "max_concurrent_requests": peak_requests,
        "rtfx": 0.0,
    }
    seconds = {
        "ttft": [result.ttft for result in good],
        "tpot": [
            (result.latency - result.ttft) / (result.output_len - 1)
            for result in good
            if result.output_len > 1
        ],
        "itl": [gap for result in good for gap in result.itl],
        "e2el": [result.latency for result in good],
    }
    for name in METRIC_NAMES:
        if name not in selected:
            continue
        values = [value * 1000.0 for value in seconds[name]]
        summary[f"mean_{name}_ms"] = mean(values)
        summary[f"median_{name}_ms"] = percentile(values, 50)
        summary[f"std_{name}_ms"] = standard_deviation(values)
        for percent in percents:
            summary[f"p{percent:g}_{name}_ms"] = percentile(values, percent)
    return summary
