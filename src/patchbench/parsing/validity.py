"""Whether what a benchmark printed and saved is a result: pure rules, the first that applies
names the cause."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

from patchbench.parsing.result_json import Saved
from patchbench.parsing.text import Text
from patchbench.subject import BenchType

# Two numbers that should be one may differ by this share, or by what rounding to two digits does.
AGREEMENT, ROUNDING = 0.02, 0.006

# Where no primary metric is named, one metric of each of these groups is needed.
NEEDS: dict[BenchType, tuple[tuple[str, ...], ...]] = {
    "serving": (
        ("request_rate_rps", "output_tps"),
        ("ttft_mean_ms", "ttft_median_ms", "e2e_mean_ms", "e2e_median_ms"),
    ),
    "latency": (("latency_avg_s", "latency_total_s"),),
    "throughput": (("request_rate_rps",), ("total_tps",)),
    "prefix_caching": (("cost_time_s",),),
}


class Case(NamedTuple):
    """One output, and what is wanted of it: the metrics of which groups, how many requests."""

    saved: Saved | None
    text: Text
    wanted: tuple[tuple[str, ...], ...]
    requests: int | None = None

    @property
    def printed(self) -> dict[str, float]:
        """The text's metrics, finite ones only."""
        return finite(self.text.result.metrics) if self.text.result else {}

    @property
    def metrics(self) -> dict[str, float]:
        """All metrics, the saved ones first: they are not rounded."""
        return self.printed | (finite(self.saved.metrics) if self.saved else {})


class Fault(NamedTuple):
    """Why an output is no result. It stands on the row of a metric, or on a line of the text."""

    cause: str
    text: str
    metric: str | None = None
    line: int | None = None


def finite(metrics: dict[str, float]) -> dict[str, float]:
    """Metrics without those that aren't finite numbers."""
    return {name: value for name, value in metrics.items() if math.isfinite(value)}


def wanted(type_: BenchType | None, primary: str | None) -> tuple[tuple[str, ...], ...]:
    """What a result must have: the primary metric, or what its type can't be without."""
    if primary:
        return ((primary,),)
    return NEEDS[type_] if type_ else ()


def judge(case: Case) -> Fault | None:
    """The first rule's fault, or None for a result."""
    return next((fault for rule in RULES if (fault := rule(case))), None)


def _nothing(case: Case) -> Fault | None:
    if case.metrics:
        return None
    torn = case.text.torn
    if torn and torn.metrics:
        have = ", ".join(sorted(torn.metrics))
        return Fault("bench.partial", f"part of a result only: {have}", line=torn.line.number)
    return Fault("bench.no_metrics", "no result", line=torn.line.number if torn else None)


def _two_results(case: Case) -> Fault | None:
    clash = case.text.clash
    if case.saved or not clash:
        return None
    return Fault("bench.ambiguous", f"two results: {clash.text}", line=clash.line.number)


def _requests_failed(case: Case) -> Fault | None:
    metrics = case.metrics
    completed, failed = metrics.get("completed"), metrics.get("failed", 0.0)
    asked = case.requests or (completed or 0.0) + failed
    if completed == 0:
        text = f"0 of {asked:.0f} requests completed: the zeros are no metrics"
        return Fault("bench.requests_failed", text, metric="completed")
    if not failed and (completed is None or completed >= asked):
        return None
    text = f"{completed or 0:.0f} of {asked:.0f} requests completed, {failed:.0f} failed"
    return Fault("bench.requests_failed", text, metric="failed" if failed else "completed")


def _text_against_file(case: Case) -> Fault | None:
    if not case.saved:
        return None
    first = {name for names in case.wanted for name in names}
    for name in sorted(case.printed, key=lambda name: (name not in first, name)):
        saved, printed = case.saved.metrics.get(name), case.printed[name]
        if saved is not None and abs(saved - printed) > max(AGREEMENT * abs(saved), ROUNDING):
            text = f"{name}: the file says {saved}, the text {printed}"
            row = case.text.result.rows[name] if case.text.result else None
            return Fault("bench.ambiguous", text, line=row.number if row else None)
    return None


def _lacking(case: Case) -> Fault | None:
    for names in case.wanted:
        if not any(case.metrics.get(name, 0.0) > 0 for name in names):
            have = ", ".join(sorted(case.metrics))
            shown = next((name for name in names if name in case.metrics), None)
            text = f"no value for {' or '.join(names)}; there is: {have}"
            return Fault("bench.partial", text, metric=shown)
    return None


def _rate(case: Case) -> Fault | None:
    """The request rate is the completed requests over the duration, in every client; where it
    isn't, rows of two results are mixed."""
    names = ("request_rate_rps", "completed", "duration_s")
    rate, completed, seconds = (case.metrics.get(name, 0.0) for name in names)
    if not rate or not completed or seconds <= ROUNDING:
        return None
    made = completed / seconds
    slack = max(AGREEMENT, ROUNDING / (seconds - ROUNDING)) * made + ROUNDING
    if abs(rate - made) <= slack:
        return None
    text = f"{rate:g} requests/s, but {completed:.0f} requests in {seconds:g} s make {made:g}"
    return Fault("bench.ambiguous", f"two results: {text}", metric="request_rate_rps")


RULES: tuple[Callable[[Case], Fault | None], ...] = (
    _nothing,
    _two_results,
    _requests_failed,
    _text_against_file,
    _lacking,
    _rate,
)
