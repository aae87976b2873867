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
    failures.heat,
    measuring.measuring,
    measuring.answers,
    measuring.findings,
    measuring.guards,
    speedups.wide,
    speedups.patches,
    speedups.details,
    speedups.means,
    speedups.pairs,
    speedups.singles,
    machine.infrastructure,
    machine.aa,
    machine.identical,
    machine.scatters,
    machine.shapes,
    machine.files,
)


def grids(report: Report) -> dict[str, Grid]:
    """Return all tables by name, underscores for hyphens; but an agent's failures by their own
    name: agents' names may differ in nothing else."""
    tables = [build(report) for build in BUILDERS]
    if report.compared_with is not None:
        other = report.compared_with
        tables += [compared.rates(other), compared.changes(report, other)]
    of_agents = map(failures.of_agent, report.failures)
    return {grid.name.replace("-", "_"): grid for grid in tables} | {g.name: g for g in of_agents}
