"""Bencher Metric Format: {benchmark: {measure: {value, lower_value, upper_value}}}.

Source of the format: Bencher's reference of BMF and its schema (bmf.json). A benchmark is one arm
of one task; its measures are the speedup over the parent with its interval, and the task's metric.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from patchbench.exporting.results import Results
from patchbench.records import BASELINE
from patchbench.report.tables.columns import ComparisonRow, TaskRow

SPEEDUP = "speedup"
LONGEST = {"benchmark": 1024, "measure": 64}  # characters of a name


def files(results: Results) -> Iterator[tuple[str, Any]]:
    """Yield the one file."""
    yield "bencher.json", metrics(results)


def metrics(results: Results) -> dict[str, dict[str, dict[str, float]]]:
    """Return the measures of every measured arm."""
    tasks = {task.commit: task for task in results.tasks}
    out: dict[str, dict[str, dict[str, float]]] = {}
    for row in results.comparisons:
        if row.role == "primary" and row.reference == BASELINE:
            task = tasks[row.commit]
            out[benchmark(task, row.arm)] = {
                SPEEDUP: interval(row),
                row.metric[: LONGEST["measure"]]: {"value": row.value},
            }
            out.setdefault(benchmark(task, BASELINE), {})[row.metric[: LONGEST["measure"]]] = {
                "value": row.reference_value
            }
    return out


def interval(row: ComparisonRow) -> dict[str, float]:
    """Return a speedup with its interval."""
    return {"value": row.ratio, "lower_value": row.low, "upper_value": row.high}


def benchmark(task: TaskRow, arm: str) -> str:
    """Return the name of a benchmark: engine, commit, arm, title."""
    title = " ".join((task.title or "").split())
    return f"{task.subject or 'engine'}/{task.commit[:8]}/{arm} {title}"[
        : LONGEST["benchmark"]
    ].strip()
