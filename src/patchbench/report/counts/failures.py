"""Count failures by cause and blame, with the line that shows each cause."""

from __future__ import annotations

import pandas as pd

from patchbench.failures.attribution import advice
from patchbench.failures.causes import BLAMES, CAUSES
from patchbench.records import BASELINE, HUMAN
from patchbench.report.about import About
from patchbench.report.frames import counts, link, records
from patchbench.report.model import AgentFailures, CauseRow, Failure
from patchbench.verdicts.scores import is_failed


def of_agents(about: About, outcomes: pd.DataFrame) -> tuple[AgentFailures, ...]:
    """Return each agent's failures; a missing patch is no failure."""
    failed = outcomes[is_failed(outcomes)]
    return tuple(_of_agent(about, arm, failed[failed["arm"] == arm]) for arm in about.agents)


def listed(about: About, outcomes: pd.DataFrame) -> tuple[Failure, ...]:
    """Return every failure of an agent's patch."""
    by_agent = outcomes["arm"].isin(list(about.agents))
    return _failures(about, outcomes[by_agent & is_failed(outcomes)])


def of_tasks(about: About, outcomes: pd.DataFrame) -> tuple[Failure, ...]:
    """Return the task's own failures: those of the baseline and of the human's commit."""
    own = outcomes["arm"].isin([BASELINE, HUMAN]) & (outcomes["status"] == "failed")
    return _failures(about, outcomes[own])


def _failures(about: About, outcomes: pd.DataFrame) -> tuple[Failure, ...]:
    links = [link(about.results, file) for file in outcomes["evidence_file"]]
    frame = outcomes.rename(columns={"evidence_file": "file", "evidence_line": "line"})
    return records(frame.assign(link=links), Failure)


def _of_agent(about: About, arm: str, outcomes: pd.DataFrame) -> AgentFailures:
    causes = [
        _cause(about, group, len(outcomes))
        for _, group in outcomes.groupby(["cause", "blame"], sort=False)
    ]
    return AgentFailures(
        arm=arm,
        title=about.title(arm),
        total=len(outcomes),
        blames=counts(outcomes["blame"], BLAMES),
        causes=tuple(sorted(causes, key=lambda row: (-row.count, row.cause, row.blame))),
    )


def _cause(about: About, group: pd.DataFrame, total: int) -> CauseRow:
    # The failure with the most to show stands for the others.
    shown = group["evidence_line"].notna() * 2 + (group["evidence"] != "")
    (example,) = _failures(about, group.loc[[shown.idxmax()]])
    # Tables of an older version may name causes that this one does not know.
    known = CAUSES.get(example.cause, CAUSES["unknown"])
    return CauseRow(
        cause=example.cause,
        title=known.title,
        blame=example.blame,
        stage=group["stage"].iloc[0] or known.stage,
        count=len(group),
        share=len(group) / total,
        advice=advice(known.cause, example.blame),
        example=example,
    )
