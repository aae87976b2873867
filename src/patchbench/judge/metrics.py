"""Metrics of a window, from its record alone.

Names and formulas are those of vLLM's ``bench serve``, with four differences: latency begins when
a request was due; the first token is the first chunk that carries text or ids; tokens are
recounted; TPOT divides by the tokens that came after the first chunk, so that a first chunk of
many tokens doesn't make the others look fast.

| metric | formula per request |
|---|---|
| TTFT | first real chunk - due |
| TPOT | (last real chunk - first real chunk) / (tokens - tokens of the first chunk) |
| ITL | gaps between neighbouring real chunks |
| E2E | last real chunk - due |
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import NamedTuple

from patchbench.judge.percentiles import percentile
from patchbench.judge.record import Answer, Window
from patchbench.judge.tokens import Tokenizer, count_tokens
from patchbench.load import Batch, Goodput

MS = 1e6  # nanoseconds
RANKS = {"median": 50, "p90": 90, "p95": 95, "p99": 99}
LATENCY_RANKS = (10, 25, 50, 75, 90, 99)


class Times(NamedTuple):
    """One answer's latencies in milliseconds; ``tpot`` is None if no token came after the first
    chunk."""

    ttft: float
    tpot: float | None
    e2e: float
    itl: tuple[float, ...]


def is_complete(answer: Answer) -> bool:
    """Return True if the whole answer came and holds a token."""
    return not answer.error and any(True for _ in answer.chunks())


def answer_times(answer: Answer, tokenizer: Tokenizer | None = None) -> Times:
    """Return the latencies of a complete answer."""
    at = [chunk.at for chunk in answer.chunks()]
    counted = count_tokens(answer, tokenizer)
    later = counted.total - counted.first
    return Times(
        ttft=(at[0] - answer.due_ns) / MS,
        tpot=(at[-1] - at[0]) / MS / later if later > 0 and len(at) > 1 else None,
        e2e=(at[-1] - answer.due_ns) / MS,
        itl=tuple((b - a) / MS for a, b in pairwise(at)),
    )


def median_ttft(answers: Sequence[Answer]) -> float:
    """Return the median TTFT of the complete answers, milliseconds; 0 if there are none."""
    values = sorted((next(a.chunks()).at - a.due_ns) / MS for a in answers if is_complete(a))
    return percentile(values, 50) if values else 0.0


def window_metrics(window: Window, tokenizer: Tokenizer | None = None) -> dict[str, float]:
    """Return a window's metrics under their canonical names; rates are per second of the time
    from the window's begin to the last answer's end. A window without complete answers has only
    counts. Durations of rounds (``latency_*``) are those of a Batch shape alone."""
    complete = [a for a in window.answers if is_complete(a)]
    metrics: dict[str, float] = {
        "completed": len(complete),
        "failed": len(window.answers) - len(complete),
    }
    if not complete:
        return metrics
    seconds = (max(a.end_ns for a in complete) - min(a.due_ns for a in complete)) / 1e9
    output = sum(count_tokens(a, tokenizer).total for a in complete)
    metrics |= {
        "duration_s": seconds,
        "output_tokens": output,
        "request_rate_rps": len(complete) / seconds,
        "output_tps": output / seconds,
    }
    known = [a.prompt_tokens for a in complete if a.prompt_tokens is not None]
    if len(known) == len(complete):
        metrics |= {
            "input_tokens": sum(known),
            "input_tps": sum(known) / seconds,
            "total_tps": (sum(known) + output) / seconds,
        }
    times = [answer_times(a, tokenizer) for a in complete]
    metrics |= _summary("ttft", [t.ttft for t in times])
    metrics |= _summary("tpot", [t.tpot for t in times if t.tpot is not None])
    metrics |= _summary("itl", [gap for t in times for gap in t.itl])
    metrics |= _summary("e2e", [t.e2e for t in times])
    if isinstance(window.load.shape, Batch):
        metrics |= _rounds(window, window.load.shape.size)
    if window.load.goodput != Goodput():
        good = sum(keeps(t, window.load.goodput) for t in times)
        metrics["goodput_rps"] = good / seconds
    return metrics


def keeps(times: Times, limits: Goodput) -> bool:
    """Return True if a request kept every limit (goodput as in DistServe, OSDI 2024). A request
    without TPOT keeps its limit."""
    return all(
        limit is None or value is None or value <= limit
        for value, limit in (
            (times.ttft, limits.ttft_ms),
            (times.tpot, limits.tpot_ms),
            (times.e2e, limits.e2e_ms),
        )
    )


def _summary(stem: str, values: Iterable[float]) -> dict[str, float]:
    """Return mean, standard deviation and percentiles of values, none if there are none."""
    ordered = sorted(values)
    if not ordered:
        return {}
    mean = sum(ordered) / len(ordered)
    spread = (sum((v - mean) ** 2 for v in ordered) / len(ordered)) ** 0.5
    ranks = {f"{stem}_{name}_ms": percentile(ordered, rank) for name, rank in RANKS.items()}
    return {f"{stem}_mean_ms": mean, f"{stem}_std_ms": spread, **ranks}


def round_seconds(answers: Sequence[Answer], size: int) -> list[float]:
    """Return how long each whole round of a batch took, from due to the last answer's end."""
    rounds: dict[int, list[Answer]] = {}
    for answer in answers:
        rounds.setdefault(answer.index // size, []).append(answer)
    return [
        (max(a.end_ns for a in group) - min(a.due_ns for a in group)) / 1e9
        for group in rounds.values()
        if len(group) == size and all(is_complete(a) for a in group)
    ]


def _rounds(window: Window, size: int) -> dict[str, float]:
    seconds = sorted(round_seconds(window.answers, size))
    if not seconds:
        return {}
    ranks = {f"latency_p{r}_s": percentile(seconds, r) for r in LATENCY_RANKS}
    return {"latency_avg_s": sum(seconds) / len(seconds), **ranks}
