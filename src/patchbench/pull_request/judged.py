"""What became of a pull request's workloads, read from the campaign's tables and records."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from patchbench.errors import BadInput
from patchbench.patches.reach import reach_of
from patchbench.pull_request.configuration import AGENT
from patchbench.records import AA, BASELINE, Record, Task, Validated
from patchbench.report.tables.columns import ComparisonRow, OutcomeRow, TaskRow
from patchbench.report.tables.read_rows import read_rows
from patchbench.system.files import read_json


class Change(Record, frozen=True, kw_only=True):
    """The files of the change that are measured, those that are put back (tests, the benchmark
    itself), and the reason for each that the workload never executes. ``traced`` is not known: the
    reasons come from rules on paths."""

    files: tuple[str, ...] = ()
    stripped: tuple[str, ...] = ()
    lines_added: int = 0
    lines_removed: int = 0
    unreached: dict[str, str] = msgspec.field(default_factory=dict)
    has_rules: bool = False


class Judged(Record, frozen=True, kw_only=True):
    """The result of one workload. ``primary`` is None if head or base gave no metrics; ``guards``
    are the metrics that must not get worse, ``same_code`` is the A/A comparison."""

    workload: str
    task: TaskRow
    head: OutcomeRow
    base: OutcomeRow
    primary: ComparisonRow | None = None
    guards: tuple[ComparisonRow, ...] = ()
    same_code: ComparisonRow | None = None
    change: Change = Change()


def read(results: Path, workloads: Sequence[str], commits: Sequence[str]) -> list[Judged]:
    """Return the result of each workload, in order. Raises BadInput if the tables lack one."""
    compared = read_rows(results, "comparisons", ComparisonRow)
    tasks = {row.commit: row for row in read_rows(results, "tasks", TaskRow)}
    outcomes = {(r.commit, r.arm): r for r in read_rows(results, "outcomes", OutcomeRow)}
    missing = [commit for commit in commits if commit not in tasks]
    if missing:
        raise BadInput(f"{results}: its tables are of other workloads than these")
    return [
        judged(
            workload,
            tasks[commit],
            [within(results, outcomes[commit, arm]) for arm in (AGENT, BASELINE)],
            [row for row in compared if row.commit == commit],
            change(results, commit),
        )
        for workload, commit in zip(workloads, commits, strict=True)
    ]


def within(results: Path, row: OutcomeRow) -> OutcomeRow:
    """Return an outcome with its evidence's file relative to the results folder."""
    file = (row.evidence_file or "").removeprefix(f"{results}/")
    return msgspec.structs.replace(row, evidence_file=file or None)


def judged(
    workload: str,
    task: TaskRow,
    outcomes: Sequence[OutcomeRow],
    compared: Sequence[ComparisonRow],
    changed: Change,
) -> Judged:
    """Return a workload's result from its rows; ``outcomes`` are those of head and base."""
    head, base = outcomes
    own = [row for row in compared if row.arm == AGENT and row.reference == BASELINE]
    return Judged(
        workload=workload,
        task=task,
        head=head,
        base=base,
        primary=next((row for row in own if row.role == "primary"), None),
        guards=tuple(row for row in own if row.role == "guard"),
        same_code=next((row for row in compared if row.arm == AA and row.role == "aa"), None),
        change=changed,
    )


def change(results: Path, commit: str) -> Change:
    """Return what is known of the change itself; nothing before its records are there."""
    validation = results / "patches" / commit / AGENT / "validation.json"
    record = results / "tasks" / f"{commit}.json"
    if not (validation.is_file() and record.is_file()):
        return Change()
    checked, task = read_json(validation, Validated), read_json(record, Task)
    return Change(
        files=checked.files,
        stripped=checked.stripped,
        lines_added=checked.lines_added,
        lines_removed=checked.lines_removed,
        unreached=dict(reach_of(checked.files, task).unreached),
        has_rules=bool(task.subject.reach),
    )
