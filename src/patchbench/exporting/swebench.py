"""SWE-bench's report of a run, schema version 2: one file per agent, AGENT.CAMPAIGN.json.

Source of the format: ``make_run_report`` in ``swebench/harness/reporting.py`` of SWE-bench 5.0.2.
As there, every list of ids is sorted and has its count beside it, and failures of the machine stay
in the denominator: their ids are errors, too.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from patchbench.exporting.results import Results
from patchbench.records import HUMAN
from patchbench.report.tables.columns import OutcomeRow, TaskRow

SCHEMA_VERSION = 2
IDS = (
    "completed",
    "incomplete",
    "empty_patch",
    "submitted",
    "resolved",
    "unresolved",
    "infra_failure",
    "ambiguous_failure",
    "error",
)
# Outcomes without a prediction: SWE-bench counts them as incomplete.
NOT_SUBMITTED = ("patch.missing",)


def files(results: Results) -> Iterator[tuple[str, Any]]:
    """Yield the name and the content of each agent's report. Tasks that can't be run are no
    instances."""
    tasks = [task for task in results.tasks if task.status != "excluded"]
    outcomes = {(row.commit, row.arm): row for row in results.outcomes}
    for agent in results.about.agents:
        if agent != HUMAN:
            rows = {task: outcomes[task.commit, agent] for task in tasks}
            yield f"{agent}.{results.about.name}.json", report(rows)


def report(outcomes: dict[TaskRow, OutcomeRow]) -> dict[str, Any]:
    """Return one agent's report from its outcomes by task."""
    ids: dict[str, list[str]] = {kind: [] for kind in IDS}
    reasons: dict[str, str] = {}
    for task, row in outcomes.items():
        name = instance_id(task)
        for kind in kinds(row):
            ids[kind].append(name)
            if kind.endswith("_failure"):
                reasons[name] = row.cause or ""
    counts = {f"{kind}_instances": len(names) for kind, names in ids.items()}
    return {
        "total_instances": len(outcomes),
        **counts,
        **{f"{kind}_ids": sorted(names) for kind, names in ids.items()},
        "failure_reasons": dict(sorted(reasons.items())),
        "schema_version": SCHEMA_VERSION,
    }


def instance_id(task: TaskRow) -> str:
    """Return the name of a task as an instance; its end is the commit, by which a patch of that
    name is found again when predictions are read."""
    return f"{task.subject or 'engine'}-{task.commit}"


def kinds(row: OutcomeRow) -> tuple[str, ...]:
    """Return the lists that an outcome stands in. Resolved means faster, beyond noise and without
    a guard lost; a failure is the agent's (unresolved), the machine's, or ambiguous."""
    if row.status in ("pending", "excluded") or row.cause in NOT_SUBMITTED:
        return ("incomplete",)
    if row.cause == "patch.empty":
        return ("submitted", "empty_patch")
    if row.status == "measured":
        return ("submitted", "completed", "resolved" if row.verdict == "faster" else "unresolved")
    if row.blame == "agent":
        return ("submitted", "completed", "unresolved")
    whose = "infra_failure" if row.blame == "infra" else "ambiguous_failure"
    return ("submitted", "error", whose)
