"""From a benchmark's raw output to metrics, or to the named cause why there are none."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from patchbench.parsing.result_json import read_json
from patchbench.parsing.text import Reading, finite, read_text
from patchbench.records import BenchType, Evidence

# Printed numbers are rounded; a JSON file and its text that differ by more are two results.
AGREEMENT = 0.02


class Grade(NamedTuple):
    """Metrics with their source, or a cause with the line that it stands on."""

    metrics: dict[str, float]
    format: str = ""
    cause: str | None = None
    evidence: Evidence | None = None


def grade(
    type_: BenchType,
    stdout: Path,
    result: Path | None,
    *,
    primary: str,
    requests: int | None = None,
) -> Grade:
    """Read one benchmark's output: its JSON file first, its text second.

    ``requests`` is how many requests must have completed (serving); ``primary`` is the metric
    without which a result is of no use.
    """
    saved = read_json(result.read_bytes()) if result and result.is_file() else None
    reading = _read(stdout, type_)
    printed = reading.metrics if reading else {}
    metrics = finite({**printed, **(saved or {})})
    line = reading.line if reading else None
    where = str(result) if saved else str(stdout)
    format_ = "json" if saved else "text"

    def refuse(cause: str, text: str) -> Grade:
        at = None if saved else line
        return Grade({}, format_, cause, Evidence(text=text, file=where, line=at))

    if not metrics:
        return refuse("bench.no_metrics", f"no result in {stdout.name}" + _tail(stdout))
    if metrics.get("completed") == 0 and type_ == "serving":
        return refuse("bench.requests_failed", "0 requests completed: the zeros are no metrics")
    failed = metrics.get("failed", 0)
    completed = metrics.get("completed")
    short = requests is not None and completed is not None and completed < requests
    if failed or short:
        return refuse(
            "bench.requests_failed",
            f"{completed or 0:.0f} of {requests or (completed or 0) + failed:.0f} requests "
            f"completed, {failed:.0f} failed",
        )
    if metrics.get(primary, 0) <= 0:
        have = ", ".join(sorted(metrics))
        return refuse("bench.partial", f"no value for {primary}; there is: {have}")
    boxes = [box[primary] for box in reading.others if primary in box] if reading else []
    differing = [value for value in boxes if _differ(printed.get(primary), value)]
    if not saved and differing:
        return refuse(
            "bench.partial", f"two results: {primary} {differing[0]}, then {printed[primary]}"
        )
    if saved and primary in printed and _differ(saved.get(primary), printed[primary]):
        return refuse(
            "bench.partial",
            f"{primary}: the file says {saved.get(primary)}, the text {printed[primary]}",
        )
    return Grade(metrics, format_, None, Evidence(text=format_, file=where, line=line))


def _read(stdout: Path, type_: BenchType) -> Reading | None:
    if not stdout.is_file():
        return None
    with stdout.open(encoding="utf-8", errors="replace", newline="\n") as lines:
        return read_text(lines, type_)


def _tail(stdout: Path) -> str:
    """The last words of a log, for the evidence."""
    if not stdout.is_file():
        return " (no such file)"
    lines = stdout.read_bytes()[-2000:].decode("utf-8", "replace").strip().splitlines()
    return f"; it ends: {lines[-1].strip()[:200]}" if lines else " (empty)"


def _differ(saved: float | None, printed: float) -> bool:
    if saved is None:
        return False
    # Text is rounded to two digits: small values may differ by that alone.
    return abs(saved - printed) > max(AGREEMENT * abs(saved), 0.006)
