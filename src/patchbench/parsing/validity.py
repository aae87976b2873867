"""Rules for a valid result: pure functions, of which the first that applies names the cause."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

from patchbench.parsing.result_json import Saved
from patchbench.parsing.text import Text
from patchbench.subject import BenchType

# Times of which a client measures some, by the begin of their metrics' names.
STEMS = ("ttft_", "tpot_", "itl_", "e2e_")
# Two prints of one number may differ by this share, or by rounding to two digits.
AGREEMENT, ROUNDING = 0.02, 0.006

# If no primary metric is named, one metric of each of these groups is needed.
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
    """One output and its requirements: a metric of each group, and a number of requests."""

    saved: Saved | None
    text: Text
    needed: tuple[tuple[str, ...], ...]
    requests: int | None = None

    @property
    def printed(self) -> dict[str, float]:
        """The text's finite metrics."""
        return finite(self.text.result.metrics) if self.text.result else {}

    @property
    def metrics(self) -> dict[str, float]:
        """All finite metrics; the saved ones go first, as they are not rounded."""
        return self.printed | (finite(self.saved.metrics) if self.saved else {})


class Fault(NamedTuple):
    """Cause and text of an invalid result, and the metric or the line that shows it."""

    cause: str
    text: str
    metric: str | None = None
    line: int | None = None


def finite(metrics: dict[str, float]) -> dict[str, float]:
    """Return the metrics that are finite, not negative, and were measured. A time whose every
    figure is 0 was not: a client that streamed nothing prints zeros."""
    known = {name: value for name, value in metrics.items() if 0 <= value < math.inf}
    zero = {
        stem
        for stem in STEMS
        if not any(value for name, value in known.items() if name.startswith(stem))
    }
    return {name: value for name, value in known.items() if not name.startswith(tuple(zero))}


def needed_metrics(type_: BenchType | None, primary: str | None) -> tuple[tuple[str, ...], ...]:
    """Return groups of metrics of which a result must have one each."""
    if primary:
        return ((primary,),)
    return NEEDS[type_] if type_ else ()


def find_fault(case: Case) -> Fault | None:
    """Return the fault of the first rule that applies, or None for a valid result."""
    return next((fault for rule in RULES if (fault := rule(case))), None)


def _no_metrics(case: Case) -> Fault | None:
    if case.metrics:
        return None
    part = case.text.partial
    if part and part.metrics:
        names = ", ".join(sorted(part.metrics))
        missing = ", ".join(sorted(part.layout.needs - part.metrics.keys())) or "its last line"
        text = f"part of a result only: {names}; missing for {part.layout.name}: {missing}"
        return Fault("bench.partial", text, line=part.line.number)
    return Fault("bench.no_metrics", "no result", line=part.line.number if part else None)


def _two_results(case: Case) -> Fault | None:
    if case.saved and case.saved.clash:
        return Fault("bench.ambiguous", f"two results: {case.saved.clash}")
    clash = case.text.clash
    if case.saved or not clash:
        return None
    return Fault("bench.ambiguous", f"two results: {clash.text}", line=clash.line.number)


def _unread_count(case: Case) -> Fault | None:
    """A row with a count of requests that is no number may say that some failed."""
    printed = case.text.result.metrics if case.text.result else {}
    saved = case.saved.metrics if case.saved else {}
    for name in ("completed", "failed"):
        if name in printed and math.isnan(printed[name]) and name not in saved:
            return Fault("bench.partial", f"{name}: its row has no number", metric=name)
    return None


def _requests_failed(case: Case) -> Fault | None:
    metrics = case.metrics
    completed, failed = metrics.get("completed"), metrics.get("failed", 0.0)
    expected = case.requests or (completed or 0.0) + failed
    if completed == 0:
        text = f"0 of {expected:.0f} requests completed: the zeros are no metrics"
        return Fault("bench.requests_failed", text, metric="completed")
    if not failed and (completed is None or completed >= expected):
        return None
    text = f"{completed or 0:.0f} of {expected:.0f} requests completed, {failed:.0f} failed"
    return Fault("bench.requests_failed", text, metric="failed" if failed else "completed")


def _text_against_file(case: Case) -> Fault | None:
    if not case.saved:
        return None
    first = {name for names in case.needed for name in names}
    for name in sorted(case.printed, key=lambda name: (name not in first, name)):
        saved, printed = case.saved.metrics.get(name), case.printed[name]
        if saved is not None and abs(saved - printed) > max(AGREEMENT * abs(saved), ROUNDING):
            text = f"{name}: the file says {saved}, the text {printed}"
            row = case.text.result.rows[name] if case.text.result else None
            return Fault("bench.ambiguous", text, line=row.number if row else None)
    return None


def _missing_metric(case: Case) -> Fault | None:
    for names in case.needed:
        if not any(case.metrics.get(name, 0.0) > 0 for name in names):
            present = ", ".join(sorted(case.metrics))
            metric = next((name for name in names if name in case.metrics), None)
            text = f"no value for {' or '.join(names)}; there is: {present}"
            return Fault("bench.partial", text, metric=metric)
    return None


def _inconsistent_rate(case: Case) -> Fault | None:
    """In every client the request rate is completed requests / duration. If it is not, rows of two
    results are mixed."""
    names = ("request_rate_rps", "completed", "duration_s")
    rate, completed, seconds = (case.metrics.get(name, 0.0) for name in names)
    if not rate or not completed or seconds <= ROUNDING:
        return None
    expected = completed / seconds
    slack = max(AGREEMENT, ROUNDING / (seconds - ROUNDING)) * expected + ROUNDING
    if abs(rate - expected) <= slack:
        return None
    text = f"{rate:g} requests/s, but {completed:.0f} requests in {seconds:g} s make {expected:g}"
    return Fault("bench.ambiguous", f"two results: {text}", metric="request_rate_rps")


RULES: tuple[Callable[[Case], Fault | None], ...] = (
    _no_metrics,
    _two_results,
    _unread_count,
    _requests_failed,
    _text_against_file,
    _missing_metric,
    _inconsistent_rate,
)
