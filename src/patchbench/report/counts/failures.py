"""Failures by cause and blame, with the line that shows each."""

from __future__ import annotations

from collections.abc import Sequence

from patchbench.failures.causes import BLAMES
from patchbench.records import BASELINE, HUMAN
from patchbench.report.about import About
from patchbench.report.counts.rows import Row, by_arm, cause_of, count, is_failed, link, text
from patchbench.report.model import AgentFailures, CauseRow, Failure


def failure(about: About, outcome: Row) -> Failure:
    """One failure as the report shows it."""
    file, line = text(outcome, "evidence_file"), outcome.get("evidence_line")
    return Failure(
        commit=outcome["commit"],
        arm=outcome["arm"],
        cause=text(outcome, "cause"),
        blame=text(outcome, "blame"),
        stage=text(outcome, "stage"),
        evidence=text(outcome, "evidence"),
        file=file,
        line=None if line is None else int(line),
        link=link(about.results, file),
    )


def of_agents(about: About, outcomes: Sequence[Row]) -> tuple[AgentFailures, ...]:
    """Each agent's failures; a patch that never came is none."""
    arms = by_arm(row for row in outcomes if is_failed(row))
    return tuple(_of_agent(about, arm, arms.get(arm, [])) for arm in about.agents)


def _of_agent(about: About, arm: str, mine: list[Row]) -> AgentFailures:
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in mine:
        groups.setdefault((row["cause"], row["blame"]), []).append(row)
    causes = [_cause(about, key, group, len(mine)) for key, group in groups.items()]
    return AgentFailures(
        arm=arm,
        title=about.title(arm),
        total=len(mine),
        blames=count((row["blame"] for row in mine), BLAMES),
        causes=tuple(sorted(causes, key=lambda row: (-row.count, row.cause, row.blame))),
    )


def _cause(about: About, key: tuple[str, str], group: list[Row], total: int) -> CauseRow:
    cause, blame = key
    known = cause_of(cause)
    # The failure with the most to show stands for the others.
    best = max(group, key=lambda row: (bool(row.get("evidence_line")), bool(row.get("evidence"))))
    return CauseRow(
        cause=cause,
        title=known.title,
        blame=blame,
        stage=text(group[0], "stage") or known.stage,
        count=len(group),
        share=len(group) / total,
        advice=known.advice,
        example=failure(about, best),
    )


def listed(about: About, outcomes: Sequence[Row]) -> tuple[Failure, ...]:
    """Every failure of an agent's patch."""
    return tuple(
        failure(about, row) for row in outcomes if row["arm"] in about.agents and is_failed(row)
    )


def of_tasks(about: About, outcomes: Sequence[Row]) -> tuple[Failure, ...]:
    """Failures of the baseline and of the human's commit: the task's own."""
    own = (BASELINE, HUMAN)
    return tuple(
        failure(about, row) for row in outcomes if row["arm"] in own and row["status"] == "failed"
    )
