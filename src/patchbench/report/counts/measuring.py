"""Say how each task was measured: by which client, what was asked, and how answers were checked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from patchbench.parsing.names import METRICS
from patchbench.records import BASELINE, HUMAN
from patchbench.report.about import About
from patchbench.report.frames import link, records
from patchbench.report.model import AnswersRow, FindingRow, GuardRow, MeasuringRow
from patchbench.report.read_tables import Tables

# The weakest comes first: what tokens of a task were counted by, if launches differ.
SOURCES = ("chunks", "text", "ids")


def measuring(tables: Tables) -> tuple[MeasuringRow, ...]:
    """Return a row per planned task whose measuring is known."""
    planned = tables.tasks[tables.tasks["status"] != "excluded"]
    known = planned[planned["measured_by"] != ""]
    launches = tables.launches.groupby("commit")
    sources = {str(commit): set(group["counted_by"]) for commit, group in launches}
    left = {str(commit): int(group["windows_left_out"].sum()) for commit, group in launches}
    counted = [_weakest(sources.get(commit, set())) for commit in known["commit"]]
    late = [left.get(commit, 0) for commit in known["commit"]]
    rows = known.rename(columns={"primary_metric": "metric"})
    return records(rows.assign(counted_by=counted, left_out=late), MeasuringRow)


def _weakest(sources: set[str]) -> str:
    return next((source for source in SOURCES if source in sources), "")


def answers(about: About, tables: Tables) -> tuple[AnswersRow, ...]:
    """Return the check of the answers of each arm that was measured, or gave wrong answers: by the
    baseline's scores, by the fixed prompts, or none. ``agreement`` is the smallest of its
    launches."""
    launched = tables.launches[tables.launches["launched"]]
    agreed: dict[Any, Any] = launched.groupby(["commit", "arm"])["agreement"].min().to_dict()
    keys = set(zip(launched["commit"], launched["arm"], strict=True))
    arms = [HUMAN, *about.agents]
    order = {arm: place for place, arm in enumerate(arms)}
    rows = tables.outcomes[tables.outcomes["arm"].isin(arms)]
    rows = rows[(rows["status"] == "measured") | (rows["verdict"] == "wrong output")]
    known = [key in keys for key in zip(rows["commit"], rows["arm"], strict=True)]
    rows = rows[pd.Series(known, rows.index, dtype=bool)]
    rows = rows.sort_values("arm", key=lambda names: names.map(order), kind="stable")
    rows = rows.sort_values("commit", kind="stable")
    columns = {name: name.removeprefix("answers_") for name in map(str, rows.columns)}
    pairs = list(zip(rows["commit"], rows["arm"], strict=True))
    share = pd.Series([agreed.get(pair) for pair in pairs], rows.index, dtype=float)
    rows = rows.drop(columns="status").rename(columns=columns).assign(agreement=share)
    return records(rows.assign(check=[_check(*row) for row in _used(rows)]), AnswersRow)


def unchecked(about: About, rows: Sequence[AnswersRow]) -> tuple[str, ...]:
    """Return the commits on which an agent's answers were not checked."""
    agents = [row for row in rows if row.arm in about.agents]
    return tuple(sorted({row.commit for row in agents if row.check == "none"}))


def _used(rows: pd.DataFrame) -> zip[tuple[str, float]]:
    return zip(rows["status"], rows["agreement"], strict=True)


def _check(status: str, agreement: float) -> str:
    """Return the check that was used: scores, or the weaker fixed prompts."""
    if status in ("like_baseline", "wrong_output"):
        return "scores"
    return "none" if pd.isna(agreement) else "fixed prompts"


def findings(about: About, tables: Tables) -> tuple[FindingRow, ...]:
    """Return all findings of the audit, faults first."""
    rows = tables.findings.sort_values("severity", kind="stable")
    return records(
        rows.assign(link=[link(about.results, file) for file in rows["file"]]), FindingRow
    )


def guards(about: About, tables: Tables) -> tuple[GuardRow, ...]:
    """Return the comparisons of guard metrics and costs with the baseline's."""
    compared = tables.comparisons
    rows = compared[compared["role"].isin(["guard", "cost"]) & (compared["arm"] != BASELINE)]
    titles = [METRICS[name].title if name in METRICS else name for name in rows["metric"]]
    rows = rows.assign(title=titles).rename(columns={"reference_value": "baseline"})
    return records(rows, GuardRow)
