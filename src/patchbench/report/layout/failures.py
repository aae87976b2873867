"""Tables of failures."""

from __future__ import annotations

import math
from collections import Counter, defaultdict

from patchbench.report.layout.grid import Cell, Grid, columns, commit, count, is_hash, place, url
from patchbench.report.model import AgentFailures, Failure, Report
from patchbench.report.text.phrases import percent

EVIDENCE_WIDTH = 160
# Up to so many failures the lists say more than a table of counts.
FEW = 20


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
        line=row.line,
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


def heat(report: Report) -> Grid:
    """Return causes against agents, shaded by their counts; nothing while they are few."""
    counts: defaultdict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for row in report.failures:
        for cause in row.causes:
            counts[cause.cause, cause.blame][row.arm] += cause.count
    most = max((n for found in counts.values() for n in found.values()), default=0)
    order = sorted(counts, key=lambda key: (-counts[key].total(), key))
    rows = [
        (
            Cell(code=cause),
            Cell(blame),
            *(
                count(found[row.arm])._replace(heat=math.ceil(4 * found[row.arm] / most))
                for row in report.failures
            ),
            count(found.total()),
        )
        for cause, blame in order
        if (found := counts[cause, blame])
    ]
    if sum(row.total for row in report.failures) <= FEW:
        rows = []
    titles = [row.title for row in report.failures]
    heads = columns(
        "Cause", "Blame", *titles, "All", right=(*titles, "All"), choose=("Cause", "Blame")
    )
    return Grid("heat", "Failures by cause and agent", heads, rows)


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
    return Grid("task-failures", "Failures of the tasks themselves", heads, rows, keys=2)


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
        keys=2,
    )
