"""Import a table of counts.

A row is the ending of one patch, or without a commit that of ``count`` patches which the table does
not name. Printed totals must agree with the sum of the other rows. Rows with the status ``patches``
give the sources of patches that have none in their own row.

Such a table gives outcomes without reasons: a failure of a launch is charged to no agent.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from patchbench.errors import BadInput
from patchbench.importing import count_rows
from patchbench.importing.count_rows import SOURCES, TOTALS
from patchbench.importing.tables import SHORT, Ending, Imported, arm_name
from patchbench.records import Evidence
from patchbench.report.tables.columns import TaskRow
from patchbench.verdicts.scores import MISSING


def read(path: Path) -> Imported:
    """Read and check a table. Raises BadInput that names the line, or the numbers or commits that
    contradict each other."""
    rows = count_rows.read(path)
    ends = rows[rows["status"].isin(TOTALS["total"])].copy()
    if ends.empty:
        raise BadInput(f"{path}: no row says how a patch ended")
    try:
        _check_commits(ends)
        _check_totals(rows, ends)
        number = _tasks_per_agent(ends)
        longest = ends["commit"].groupby(ends["commit"].str[:SHORT], sort=False).agg(max_by_length)
        names = {short: name for short, name in longest.items() if short}
        if len(names) > number:
            raise ValueError(f"{len(names)} commits are named, but there are {number} tasks")
        patches = ends.loc[ends.index.repeat(ends["count"])].assign(line=lambda t: t.index)
        patches["arm"] = patches["agent"].map(arm_name)
        unnamed = patches["commit"] == ""
        order = unnamed.groupby(patches["arm"]).cumsum().astype(str)
        # Names of their own, so that no two agents seem to meet on a patch without a commit.
        patches["commit"] = (patches["arm"] + " " + order).where(
            unnamed, patches["commit"].str[:SHORT].map(names)
        )
        patches["source"] = _sources(rows, patches, unnamed)
    except ValueError as error:
        raise BadInput(f"{path}: {error}") from error
    titles = [str(agent) for agent in ends["agent"].unique()]
    if len({arm_name(title) for title in titles}) < len(titles):
        alike = next(t for n, t in enumerate(titles) if arm_name(t) in map(arm_name, titles[:n]))
        raise BadInput(f"{path}: agent {alike!r} differs from another in punctuation only")
    commits = [*names.values(), *(f"task {n + 1}" for n in range(number - len(names)))]
    return Imported(
        agents={arm_name(agent): agent for agent in ends["agent"].unique()},
        tasks=[TaskRow(commit=commit, status="planned") for commit in commits],
        endings=[_ending(path, row) for _, row in patches.iterrows()],
    )


def max_by_length(names: pd.Series[str]) -> str:
    """Return the longest of some names."""
    return max(names, key=len)


def _ending(path: Path, row: pd.Series) -> Ending:
    text = row["text"] or f"{row['count']} failed"
    missing = row["status"] == "missing"
    failed = Evidence(text=text, file=str(path), line=int(row["line"]))
    return Ending(
        commit=row["commit"],
        arm=row["arm"],
        status="failed" if missing else row["status"],
        type=row["type"] or None,
        cause=MISSING if missing else row["cause"] or None,
        evidence=failed if row["status"] == "failed" else None,
        source=row["source"],
    )


def _check_commits(ends: pd.DataFrame) -> None:
    """Raise ValueError that names each commit with several rows of one agent."""
    named = ends[ends["commit"] != ""]
    statuses = named["status"].groupby([named["agent"], named["commit"].str[:SHORT]]).agg(list)
    repeated = [
        f"{' '.join(map(str, patch))} ({', '.join(endings)})"
        for patch, endings in zip(statuses.index, statuses, strict=True)
        if len(endings) > 1
    ]
    if repeated:
        raise ValueError(
            f"{len(repeated)} patches have more than one ending: {'; '.join(repeated)} | next: "
            "keep one row for each patch"
        )


def _check_totals(rows: pd.DataFrame, ends: pd.DataFrame) -> None:
    """Raise ValueError for a printed total that is not the sum of its rows."""
    for line, row in rows[rows["status"].isin(TOTALS.keys())].iterrows():
        summed = ends["status"].isin(TOTALS[row["status"]]) & (ends["agent"] == row["agent"])
        if row["type"]:
            summed &= ends["type"] == row["type"]
        total = ends["count"][summed].sum()
        if total != row["count"]:
            of_type = f" of type {row['type']}" if row["type"] else ""
            raise ValueError(
                f"line {line}: {row['agent']}: {row['status']}{of_type} is given as "
                f"{row['count']}, but the rows sum to {total}"
            )


def _tasks_per_agent(ends: pd.DataFrame) -> int:
    """Return the number of tasks. Raises ValueError if it differs between agents."""
    sums = ends.groupby("agent", sort=False)["count"].sum()
    if sums.nunique() > 1:
        numbers = ", ".join(f"{agent} {number}" for agent, number in sums.items())
        raise ValueError(
            f"agents have different numbers of tasks: {numbers} | next: every agent needs a row "
            "for each task; a task without a patch has the status missing"
        )
    return int(sums.iloc[0])


def _sources(rows: pd.DataFrame, patches: pd.DataFrame, unnamed: pd.Series[bool]) -> pd.Series[str]:
    """Return the source of each patch; patches with neither a commit nor a source of their own get
    those in rows for sources, in any order, as only their numbers are reported."""
    column = patches["source"].to_numpy().copy()
    given = rows[rows["status"] == SOURCES]
    for agent, group in given.groupby("agent", sort=False):
        sources = group["source"].replace("", "?").repeat(group["count"].tolist())
        delivered = patches["status"].isin(["measured", "failed"]) & (patches["source"] == "")
        places = (delivered & unnamed & (patches["agent"] == agent)).to_numpy().nonzero()[0]
        if len(sources) != len(places):
            raise ValueError(
                f"{agent}: sources are given for {len(sources)} patches, but the rows have "
                f"{len(places)} without a commit and a source"
            )
        column[places] = sources.to_numpy()
    return pd.Series(column, index=patches.index)
