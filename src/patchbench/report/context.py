"""The numbers of the report, all counted from the campaign's tables. No words here, no layout."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pandas as pd
import pyarrow as pa

from patchbench.campaign import Campaign
from patchbench.failures.causes import BLAMES, CAUSES
from patchbench.records import AA, BASELINE, BENCH_TYPES, HUMAN
from patchbench.statistics import geometric_mean, wilson
from patchbench.tables import Inconsistent
from patchbench.verdicts import VERDICTS

Row = dict[str, Any]


def build(campaign: Campaign, found: dict[str, pa.Table]) -> dict[str, Any]:
    """Everything that the templates and figures show."""
    frames = {name: table.to_pandas() for name, table in found.items()}
    tasks, outcomes, patches = frames["tasks"], frames["outcomes"], frames["patches"]
    planned = tasks[tasks.status != "excluded"].commit
    arms = [agent_row(campaign, name, frames, set(planned)) for name in campaign.agents]
    pending = outcomes[(outcomes.status == "pending") & outcomes.commit.isin(planned)]
    context: dict[str, Any] = {
        "campaign": campaign.name,
        "title_of": {name: agent.title or name for name, agent in campaign.agents.items()},
        "subjects": sorted(tasks.subject.unique()),
        "subject_titles": sorted({t.subject.title for t in campaign.tasks.values()}),
        "counts": {
            "tasks": len(tasks),
            "planned": len(planned),
            "excluded": int((tasks.status == "excluded").sum()),
            "pending": len(pending),
        },
        "agents": arms,
        "human": agent_row(campaign, HUMAN, frames, set(planned)),
        "tasks": records(tasks),
        "excluded": records(tasks[tasks.status == "excluded"]),
        "parents": parents(tasks),
        "task_warnings": records(tasks[tasks.warnings.notna()]),
        "failures": [failures(outcomes, name, set(planned)) for name in campaign.agents],
        "commit_failures": records(
            outcomes[
                outcomes.arm.isin([BASELINE, HUMAN])
                & (outcomes.status == "failed")
                & outcomes.commit.isin(planned)
            ]
        ),
        "coverage": [coverage(patches, name, set(planned)) for name in campaign.agents],
        "flagged": records(
            patches[
                (patches["flags"].notna() | patches["normalised"].notna())
                & patches.arm.isin(list(campaign.agents))
            ]
        ),
        "types": type_rows(campaign, outcomes, tasks),
        "speedups": speedups(campaign, frames),
        "floors": floors(frames["comparisons"]),
        "infrastructure": infrastructure(frames["runs"], patches),
        "protocol": campaign.protocol,
        "statistics": campaign.statistics,
        "results": campaign.results,
        "runtime": campaign.runtime,
        "aa": aa_rows(frames["runs"], tasks),
        "unchecked": unchecked(frames["runs"], list(campaign.agents)),
    }
    for row in arms:
        assert_adds_up(row)
    return context


def parents(tasks: pd.DataFrame) -> dict[str, int]:
    """How many parents came from where: the list's file, or git."""
    origins = tasks.parent_origin.dropna().map(lambda origin: str(origin).partition(": ")[0])
    return {str(origin): int(count) for origin, count in origins.value_counts().items()}


def records(frame: pd.DataFrame) -> list[Row]:
    """Rows as plain values, with None for what is missing."""
    plain = frame.astype(object).where(frame.notna(), None)
    return [{str(key): value for key, value in row.items()} for row in plain.to_dict("records")]


def share(part: int, whole: int) -> Row:
    """A proportion with its numerator, denominator and 95 % Wilson interval."""
    low, high = wilson(part, whole)
    return {
        "part": part,
        "whole": whole,
        "share": part / whole if whole else None,
        "low": low,
        "high": high,
    }


def agent_row(
    campaign: Campaign, arm: str, frames: dict[str, pd.DataFrame], planned: set[str]
) -> Row:
    """One arm's line in the executive table. Excluded tasks stand in no denominator."""
    outcomes = frames["outcomes"]
    mine = outcomes[(outcomes.arm == arm) & outcomes.commit.isin(planned)]
    measured = mine[mine.status == "measured"]
    missing = int((mine.cause == "patch.missing").sum())
    pending = int((mine.status == "pending").sum())
    delivered = len(mine) - missing - pending
    failed = mine[(mine.status == "failed") & (mine.cause != "patch.missing")]
    others = int((failed.blame != "agent").sum())
    judged = delivered - others
    primary = frames["comparisons"]
    primary = primary[(primary.arm == arm) & (primary.role == "primary")]
    ratios = [float(r) for r in primary.ratio]
    agent = campaign.agents.get(arm)
    return {
        "arm": arm,
        "title": (agent.title if agent else "") or arm,
        "planned": len(mine),
        "delivered": delivered,
        "missing": missing,
        "pending": pending,
        "measured": len(measured),
        "failed": len(failed),
        "charged": len(failed) - others,
        "others": others,
        "judged": judged,
        "success": share(len(measured), judged),
        "faster": share(int((mine.verdict == "faster").sum()), judged),
        "human": share(int((mine.at_least_human == True).sum()), judged),  # noqa: E712
        "types": {kind: int((measured.type == kind).sum()) for kind in BENCH_TYPES},
        "verdicts": {v: int((measured.verdict == v).sum()) for v in VERDICTS},
        "geomean": geometric_mean(ratios),
        "compared": len(ratios),
    }


def assert_adds_up(row: Row) -> None:
    """planned = measured + failed + missing + pending, types sum to measured, verdicts too."""
    parts = row["measured"] + row["failed"] + row["missing"] + row["pending"]
    if parts != row["planned"]:
        raise Inconsistent(f"{row['arm']}: {row['planned']} planned, {parts} accounted for")
    for name in ("types", "verdicts"):
        total = sum(row[name].values())
        if total != row["measured"]:
            raise Inconsistent(f"{row['arm']}: {row['measured']} measured, {total} by {name}")


def failures(outcomes: pd.DataFrame, arm: str, planned: set[str]) -> Row:
    """One agent's failures by cause and blame, with the evidence of one example each."""
    mine = outcomes[
        (outcomes.arm == arm)
        & (outcomes.status == "failed")
        & (outcomes.cause != "patch.missing")
        & outcomes.commit.isin(planned)
    ]
    causes = []
    for (cause, blame), group in mine.groupby(["cause", "blame"], sort=False):
        first = records(group)[0]
        causes.append(
            {
                "cause": cause,
                "title": CAUSES[str(cause)].title,
                "blame": blame,
                "stage": first["stage"],
                "count": len(group),
                "share": len(group) / len(mine),
                "example": first,
            }
        )
    causes.sort(key=lambda row: (-row["count"], row["cause"]))
    blamed = {blame: int((mine.blame == blame).sum()) for blame in BLAMES}
    if sum(row["count"] for row in causes) != len(mine) or sum(blamed.values()) != len(mine):
        raise Inconsistent(f"{arm}: {len(mine)} failures, by blame {blamed}")
    return {"arm": arm, "total": len(mine), "causes": causes, "blames": blamed}


def coverage(patches: pd.DataFrame, arm: str, planned: set[str]) -> Row:
    """Where one agent's patches came from, and which tasks have none."""
    mine = patches[(patches.arm == arm) & patches.commit.isin(planned)]
    missing = mine[mine.cause == "patch.missing"]
    sources = mine[mine.source.notna()].source.value_counts()
    return {
        "arm": arm,
        "planned": len(mine),
        "delivered": len(mine) - len(missing),
        "empty": int((mine.cause == "patch.empty").sum()),
        "refused": int(((mine.stage == "validate_patch") & (mine.status == "failed")).sum()),
        "missing": [str(commit) for commit in missing.commit],
        "sources": {str(name): int(count) for name, count in sources.items()},
    }


def type_rows(campaign: Campaign, outcomes: pd.DataFrame, tasks: pd.DataFrame) -> list[Row]:
    """Measured patches by benchmark type and agent."""
    measured = outcomes[outcomes.status == "measured"]
    rows = []
    for kind in BENCH_TYPES:
        by_agent = {
            name: int(((measured.arm == name) & (measured.type == kind)).sum())
            for name in campaign.agents
        }
        rows.append(
            {
                "type": kind,
                "tasks": int((tasks.type == kind).sum()),
                "agents": by_agent,
                "total": sum(by_agent.values()),
            }
        )
    return rows


def speedups(campaign: Campaign, frames: dict[str, pd.DataFrame]) -> list[Row]:
    """Per planned task: the primary metric of the baseline, and each arm's ratio or outcome."""
    comparisons, outcomes = frames["comparisons"], frames["outcomes"]
    primary = comparisons[comparisons.role == "primary"]
    found = {(row["commit"], row["arm"]): row for row in records(primary)}
    against = comparisons[comparisons.role == "human"]
    beaten = {(row["commit"], row["arm"]): row["verdict"] for row in records(against)}
    ended = {(row["commit"], row["arm"]): row for row in records(outcomes)}
    rows = []
    for task in records(frames["tasks"]):
        if task["status"] == "excluded":
            continue
        commit = task["commit"]
        cells = {
            arm: {
                "comparison": found.get((commit, arm)),
                "against_human": beaten.get((commit, arm)),
                "outcome": ended[commit, arm],
            }
            for arm in (HUMAN, *campaign.agents)
        }
        any_ = next((c["comparison"] for c in cells.values() if c["comparison"]), None)
        human = cells[HUMAN]["comparison"]
        rows.append(
            {
                "task": task,
                "unit": any_["unit"] if any_ else "",
                "baseline": any_["reference_value"] if any_ else None,
                "floor": any_["floor"] if any_ else None,
                "cells": cells,
                "human_reproduced": bool(human and human["verdict"] in ("faster", "suspicious")),
                "baseline_outcome": ended[commit, BASELINE],
            }
        )
    return rows


def floors(comparisons: pd.DataFrame) -> list[Row]:
    """Noise floors in use, per metric."""
    primary = comparisons[comparisons.role == "primary"]
    return records(primary[["metric", "floor"]].drop_duplicates().sort_values("metric"))


def aa_rows(runs: pd.DataFrame, tasks: pd.DataFrame) -> list[Row]:
    """Each A/A pair on its task's primary metric: the ratio of two launches of the same code."""
    metric = dict(zip(tasks.commit, tasks.primary_metric, strict=True))
    mine = runs[runs.arm.isin([BASELINE, AA]) & runs.value.notna()]
    mine = mine[mine.metric == mine.commit.map(metric)]
    rows = []
    for (commit, block), group in mine.groupby(["commit", "block"], sort=False):
        values = dict(zip(group.arm, group.value, strict=True))
        if {BASELINE, AA} <= values.keys():
            ratio = float(values[AA]) / float(values[BASELINE])
            rows.append(
                {"commit": commit, "block": block, "metric": metric[commit], "ratio": ratio}
            )
    return rows


def unchecked(runs: pd.DataFrame, agents: list[str]) -> list[str]:
    """Commits of which an agent's measured output was not compared with the baseline's."""
    mine = runs[runs.arm.isin(agents) & (runs.status == "measured") & runs.agreement.isna()]
    return sorted({str(commit)[:8] for commit in mine.commit})


def infrastructure(runs: pd.DataFrame, patches: pd.DataFrame) -> Row:
    """What the machine did: launches, time, and where it ran."""
    single = runs.drop_duplicates(["commit", "block", "arm"])
    launched = single[single.launched]
    seconds = [
        (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds()
        for start, end in zip(launched.started, launched.ended, strict=True)
    ]
    built = patches.build_seconds.dropna()
    return {
        "launches": len(launched),
        "not_launched": len(single) - len(launched),
        "measure_seconds": sum(seconds),
        "first": launched.started.min() if len(launched) else None,
        "last": launched.ended.max() if len(launched) else None,
        "images": int((built > 0).sum()),
        "build_seconds": float(built.sum()),
        "infra_failures": int((single.blame == "infra").sum()),
        "hosts": sorted(set(single.host.dropna())),
        "runtimes": sorted(set(single.runtime.dropna())),
        "versions": sorted(set(single.versions.dropna())),
        "load": float(pd.to_numeric(launched.load_1min).median()) if len(launched) else None,
    }
