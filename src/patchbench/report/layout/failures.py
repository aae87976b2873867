"""Tables of failures."""

from __future__ import annotations

from patchbench.report.layout.grid import Cell, Grid, columns, commit, count, is_hash, place, url
from patchbench.report.model import AgentFailures, Failure, Report
from patchbench.report.text.phrases import percent

EVIDENCE_WIDTH = 160


def evidence(row: Failure, *, named: bool = True) -> Cell:
    """Return the line that shows a failure, and its place."""
    text = row.evidence
    if len(text) > EVIDENCE_WIDTH:
        text = text[: EVIDENCE_WIDTH - 1] + "…"
    where = place(row.link or row.file, row.line)
    return Cell(
        f"{commit(row.commit).text}:" if named and is_hash(row.commit) else "",
        code=text,
        tail=f"({where})" if where else "",
        href=url(row.link),
    )


def of_agent(agent: AgentFailures) -> Grid:
    """Return one agent's failures by cause and blame."""
    rows = [
        (
            Cell(code=row.cause),
            Cell(row.title),
            Cell(row.blame),
            Cell(row.stage),
            count(row.count),
            Cell(percent(row.share), sort=row.share),
            evidence(row.example),
        )
        for row in agent.causes
    ]
    heads = columns(
        *("Cause", "What happened", "Blame", "Stage", "Count", "% of failures"),
        "Evidence (one example)",
        right=("Count", "% of failures"),
    )
    return Grid(f"failures-{agent.arm}", f"Failures of {agent.title}", heads, rows)


def of_tasks(report: Report) -> Grid:
    """Return failures of the baselines and the human's commits."""
    rows = [
        (
            commit(row.commit),
            Cell(row.arm),
            Cell(code=row.cause),
            Cell(row.blame),
            evidence(row, named=False),
        )
        for row in report.task_failures
    ]
    heads = columns("Commit", "Arm", "Cause", "Blame", "Evidence", choose=("Arm", "Cause", "Blame"))
    return Grid("task-failures", "Failures of the tasks themselves", heads, rows)


def listed(report: Report) -> Grid:
    """Return every failure of an agent's patch, with its line."""
    title = report.about.title
    rows = [
        (
            commit(row.commit),
            Cell(title(row.arm)),
            Cell(code=row.cause),
            Cell(row.blame),
            Cell(row.stage),
            evidence(row, named=False),
        )
        for row in report.all_failures
        if is_hash(row.commit)
    ]
    heads = ("Commit", "Agent", "Cause", "Blame", "Stage", "Evidence")
    return Grid(
        "all-failures",
        "Every failure with its evidence",
        columns(*heads, choose=heads[1:5]),
        rows,
    )
