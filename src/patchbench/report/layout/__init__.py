"""The report's tables, each defined once for markdown and for the page."""

from __future__ import annotations

from patchbench.report.layout import compared, failures, machine, measuring, speedups, summary
from patchbench.report.layout.grid import Grid
from patchbench.report.model import Report

# Both templates refer to a builder's grid by the builder's name.
BUILDERS = (
    summary.agents,
    summary.closure,
    summary.excluded,
    summary.notes,
    summary.coverage,
    summary.mended,
    summary.patch_quality,
    summary.types,
    failures.of_tasks,
    failures.listed,
    measuring.measuring,
    measuring.answers,
    measuring.findings,
    measuring.guards,
    speedups.wide,
    speedups.patches,
    speedups.means,
    speedups.pairs,
    speedups.singles,
    machine.infrastructure,
    machine.aa,
    machine.identical,
    machine.floors,
    machine.files,
)


def grids(report: Report) -> dict[str, Grid]:
    """Return all tables by name, underscores for hyphens."""
    tables = [build(report) for build in BUILDERS]
    tables += [failures.of_agent(row) for row in report.failures]
    if report.compared_with is not None:
        other = report.compared_with
        tables += [compared.rates(other), compared.changes(report, other)]
    return {grid.name.replace("-", "_"): grid for grid in tables}
