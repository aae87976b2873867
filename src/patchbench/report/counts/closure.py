"""Check that the arithmetic closes before anything is written: two numbers that disagree stop the
report.

Each check names both numbers. The target report's errors (patches counted as missing and as
successful, totals that are no sums) end here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pandas as pd

from patchbench.report.model import AgentFailures, AgentRow, Coverage, Report, TypeRow
from patchbench.report.tables.collect import Inconsistent
from patchbench.verdicts.scores import MISSING, is_missing


def check(report: Report) -> None:
    """Raise Inconsistent with everything that doesn't add up."""
    wrong = [
        *(fault for row in report.agents for fault in of_agent(row)),
        *(fault for row in report.failures for fault in of_failures(row)),
        *(fault for row in report.coverage for fault in of_coverage(row)),
        *of_types(report.types, report.agents),
        *_between(report),
    ]
    if wrong:
        raise Inconsistent("; ".join(wrong))


def of_agent(row: AgentRow) -> Iterator[str]:
    """Check that planned = measured + failed + missing + pending, and that every breakdown sums to
    its whole."""
    sums = {
        "planned": (
            row.planned,
            row.measured + row.failed + row.missing + row.pending,
            "measured, failed, missing and pending",
        ),
        "delivered": (row.delivered, row.measured + row.failed, "measured and failed"),
        "measured": (row.measured, sum(row.types.values()), "types"),
        "measured patches": (row.measured, sum(row.verdicts.values()), "verdicts"),
        "failed": (row.failed, sum(row.blames.values()), "blames"),
    }
    for name, (whole, parts, of) in sums.items():
        if whole != parts:
            yield f"{row.title}: {whole} {name}, but {of} sum to {parts}"
    for rate in (row.success, row.faster, row.human):
        if not 0 <= rate.part <= rate.whole <= row.planned:
            yield f"{row.title}: a rate of {rate.part} of {rate.whole}, of {row.planned} planned"


def of_failures(row: AgentFailures) -> Iterator[str]:
    """Check that causes and blames sum to the failures, and the printed shares to 100 %."""
    by_cause, by_blame = sum(c.count for c in row.causes), sum(row.blames.values())
    if by_cause != row.total:
        yield f"{row.title}: {row.total} failures, but causes sum to {by_cause}"
    if by_blame != row.total:
        yield f"{row.title}: {row.total} failures, but blames sum to {by_blame}"
    printed = sum(round(100 * cause.share, 1) for cause in row.causes)
    if row.causes and abs(printed - 100) > 0.05 * len(row.causes) + 1e-9:
        yield f"{row.title}: printed shares of failures sum to {printed:.1f} %"


def of_coverage(row: Coverage) -> Iterator[str]:
    """Check that planned = delivered + missing + not looked for yet."""
    parts = row.delivered + row.missing + row.unknown
    if parts != row.planned:
        yield f"{row.title}: {row.planned} planned, but coverage sums to {parts}"
    if row.missing != len(row.missing_commits):
        yield f"{row.title}: {row.missing} missing, but {len(row.missing_commits)} are named"


def of_types(rows: Sequence[TypeRow], agents: Sequence[AgentRow]) -> Iterator[str]:
    """Check that the table of types sums to the measured patches, along both its edges."""
    for row in rows:
        if row.total != sum(row.agents.values()):
            yield f"{row.type}: {row.total} in all, but agents sum to {sum(row.agents.values())}"
    for agent in agents:
        total = sum(row.agents[agent.arm] for row in rows)
        if total != agent.measured:
            yield f"{agent.title}: {agent.measured} measured, but the types' table has {total}"


def _between(report: Report) -> Iterator[str]:
    """Check that numbers which stand in several tables agree."""
    counts = report.counts
    if counts.tasks != counts.planned + counts.excluded:
        yield f"{counts.tasks} tasks, but {counts.planned} planned and {counts.excluded} excluded"
    if len(report.quality.excluded) != counts.excluded:
        yield f"{counts.excluded} tasks excluded, {len(report.quality.excluded)} listed"
    failed = {row.arm: row.total for row in report.failures}
    for row in report.agents:
        if failed[row.arm] != row.failed:
            yield f"{row.title}: {row.failed} failed, but {failed[row.arm]} failures are listed"
    if len(report.all_failures) != sum(failed.values()):
        yield f"{sum(failed.values())} failures, {len(report.all_failures)} listed one by one"


def complete(planned: int, outcomes: pd.DataFrame, agents: Sequence[str]) -> None:
    """Raise Inconsistent unless every agent has one outcome for each planned task, and no arm of a
    task has two."""
    twice = outcomes[outcomes.duplicated(["commit", "arm"])]
    if len(twice):
        raise Inconsistent(f"two outcomes of one patch: {_named(twice)}")
    for agent in agents:
        count = int((outcomes["arm"] == agent).sum())
        if count != planned:
            raise Inconsistent(f"{agent}: {planned} tasks planned, {count} outcomes")


def overlaps(outcomes: pd.DataFrame, patches: pd.DataFrame) -> None:
    """Raise Inconsistent for missing patches that were measured all the same, with their names."""
    missing = patches.loc[patches["cause"] == MISSING, ["commit", "arm"]]
    joined = outcomes.merge(missing, on=["commit", "arm"])
    both = joined[~(is_missing(joined) | joined["status"].isin(["pending", "excluded"]))]
    if len(both):
        raise Inconsistent(f"no patch, and yet an outcome: {_named(both)}")


def _named(rows: pd.DataFrame) -> str:
    return ", ".join(rows["commit"].str[:8] + " " + rows["arm"])
