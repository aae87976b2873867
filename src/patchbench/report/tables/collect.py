"""Collect a campaign's records into its tables: typed Parquet files from which every number of the
report comes.

Rows start from the plan, so nothing drops out silently: an arm without a record is pending.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from msgspec import structs

from patchbench.ledger import looks
from patchbench.parsing.names import METRICS
from patchbench.plan.campaign import Campaign
from patchbench.records import HUMAN
from patchbench.report.tables.columns import ComparisonRow, OutcomeRow, table
from patchbench.report.tables.read_records import read_records
from patchbench.report.tables.rows import (
    finding_rows,
    outcome_row,
    patch_row,
    run_table,
    task_row,
)
from patchbench.system.files import write_bytes
from patchbench.verdicts.comparisons import compare_all
from patchbench.verdicts.looks import Looks, planned


def tables(campaign: Campaign) -> dict[str, pa.Table]:
    """Return all tables of a campaign, from the records that exist. Raises Inconsistent."""
    records = read_records(campaign)
    usable = {c: m for c, m in records.metrics.items() if c in records.tasks}
    compared = compare_all(
        records.tasks, usable, campaign.agents, campaign.statistics, _looks(campaign, usable)
    )
    primary = {(c.commit, c.arm): c for c in compared if c.role == "primary"}
    outcomes = [
        outcome_row(records, primary.get((commit, arm)), commit, arm)
        for commit in campaign.commits
        for arm in campaign.arms
    ]
    assert_closed(campaign, outcomes)
    rows: dict[str, list[Any]] = {
        "tasks": [
            task_row(campaign, records, primary.get((commit, HUMAN)), commit)
            for commit in campaign.commits
        ],
        "patches": [
            patch_row(records, commit, arm)
            for commit in campaign.commits
            for arm in campaign.patched_arms
        ],
        "outcomes": outcomes,
        "comparisons": [
            ComparisonRow(**structs.asdict(c), unit=METRICS[c.metric].unit) for c in compared
        ],
    }
    runs = [
        (records.tasks[commit], run)
        for commit, metrics in (usable | records.partly).items()
        for run in metrics.runs
    ]
    rows["findings"] = [row for task, run in runs for row in finding_rows(task, run)]
    return {name: table(name, of) for name, of in rows.items()} | {"runs": run_table(runs)}


def _looks(campaign: Campaign, commits: Iterable[str]) -> dict[str, Looks]:
    results = Path(campaign.results)
    return {commit: planned(campaign.protocol, looks.read(results, commit)) for commit in commits}


def record_looks(campaign: Campaign, tables: Mapping[str, pa.Table]) -> None:
    """Write to the journal how many blocks of each task these tables' verdicts looked at."""
    seen: dict[str, set[int]] = {}
    for row in tables["comparisons"].select(["commit", "role", "blocks"]).to_pylist():
        if row["role"] == "primary":
            seen.setdefault(row["commit"], set()).add(row["blocks"])
    for commit, blocks in seen.items():
        looks.record(Path(campaign.results), commit, campaign.protocol, blocks)


class Inconsistent(Exception):
    """Two numbers that must agree differ: nothing may be written from them."""


def assert_closed(campaign: Campaign, outcomes: Sequence[OutcomeRow]) -> None:
    """Raise Inconsistent, with the numbers that disagree, unless planned = measured + failed +
    excluded + pending for every arm, and every failure has a cause and a blame."""
    rows = sorted((row.commit, row.arm) for row in outcomes)
    planned = sorted((commit, arm) for commit in campaign.commits for arm in campaign.arms)
    if rows != planned:
        wrong = next(iter({*rows} ^ {*planned}), "a row stands twice")
        raise Inconsistent(f"{len(planned)} outcomes planned, {len(rows)} there: {wrong}")
    for arm in campaign.arms:
        counted = Counter(row.status for row in outcomes if row.arm == arm)
        if counted.keys() - {"measured", "failed", "excluded", "pending"}:
            raise Inconsistent(f"{arm}: {len(campaign.commits)} planned, but {dict(counted)}")
    bare = [
        f"{row.commit[:8]} {row.arm}"
        for row in outcomes
        if row.status == "failed" and not (row.cause and row.blame)
    ]
    if bare:
        raise Inconsistent(f"failed without cause or blame: {', '.join(bare)}")


def write(table: pa.Table, path: Path) -> None:
    """Write a table as Parquet, atomically."""
    data = pa.BufferOutputStream()
    pq.write_table(table, data, compression="zstd")
    write_bytes(path, data.getvalue().to_pybytes())
