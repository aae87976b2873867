"""Give the outcome of every patch: ratio, interval and verdict, or the cause why there are none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pandas as pd

from patchbench.records import BASELINE, HUMAN
from patchbench.report.about import About
from patchbench.report.counts.block_ratios import block_ratios
from patchbench.report.counts.patch_quality import diffs
from patchbench.report.frames import link, records
from patchbench.report.model import Cell, Single, SpeedupRow
from patchbench.report.read_tables import Tables
from patchbench.verdicts.rule import MARKS
from patchbench.verdicts.scores import is_missing

KEY = ["commit", "arm"]
COMPARED = ["value", "ratio", "low", "high", "p_adjusted", "pairs", "blocks_needed", "level"]


def speedups(about: About, tables: Tables, outcomes: pd.DataFrame) -> tuple[SpeedupRow, ...]:
    """Return a row per planned task, with a cell per arm; the baseline's first."""
    compared = tables.comparisons
    primary = compared[compared["role"] == "primary"]
    cells = _cells(about, tables, primary, outcomes)
    of_task: dict[str, Any] = {
        str(commit): records(group, Cell) for commit, group in cells.groupby("commit")
    }
    first = primary.sort_values("arm", key=_places(about), kind="stable").drop_duplicates("commit")
    planned = tables.tasks[tables.tasks["status"] != "excluded"].merge(
        first[["commit", "unit", "reference_value", "margin"]], how="left", on="commit"
    )
    rows = planned.rename(columns={"primary_metric": "metric", "reference_value": "baseline"})
    rows = rows.fillna({"unit": ""}).assign(cells=[of_task.get(c, ()) for c in rows["commit"]])
    return records(rows, SpeedupRow)


def _cells(
    about: About, tables: Tables, primary: pd.DataFrame, outcomes: pd.DataFrame
) -> pd.DataFrame:
    """Return a row per arm with the fields of Cell, in the report's order of arms."""
    known = outcomes[outcomes["arm"].isin([BASELINE, HUMAN, *about.agents])].drop(columns="ratio")
    against = tables.comparisons[tables.comparisons["role"] == "human"]
    launched = tables.launches[tables.launches["launched"]].astype({"block": object})
    blocks: dict[Any, Any] = launched.sort_values("block").groupby(KEY)["block"].agg(list).to_dict()
    shas = tables.patches[[*KEY, "measured_sha256"]].rename(
        columns={"measured_sha256": "patch_sha256"}
    )
    cells = (
        known.sort_values("arm", key=_places(about), kind="stable")
        .merge(primary[[*KEY, *COMPARED]], how="left", on=KEY)
        .merge(
            against[[*KEY, "verdict"]].rename(columns={"verdict": "to_human"}), how="left", on=KEY
        )
        .merge(shas, how="left", on=KEY)
        .fillna({"pairs": 0, "level": 0.95, "patch_sha256": "", "to_human": ""})
        .fillna({"blocks_measured": 0, "blocks_failed": 0})
    )
    keys = list(zip(cells["commit"], cells["arm"], strict=True))
    changed: dict[Any, Any] = dict(diffs(tables.patches))
    ratios = block_ratios(tables.values, tables.tasks)
    missing = is_missing(cells)
    paths = "patches/" + cells["commit"] + "/" + cells["arm"]
    return cells.assign(
        status=cells["status"].astype(object).mask(missing, "missing"),
        blame=cells["blame"].astype(object).mask(missing, ""),
        mark=cells["verdict"].map(MARKS).fillna("").str.strip(),
        line=cells["evidence_line"],
        link=[link(about.results, file) for file in cells["evidence_file"]],
        human=_to_human(cells),
        launches=[blocks.get(key, ()) for key in keys],
        block_ratios=pd.Series([ratios.get(key, ()) for key in keys], cells.index, dtype=object),
        diff=pd.Series([changed.get(key) for key in keys], cells.index, dtype=object),
        patch=paths.where((cells["arm"] != BASELINE) & about.compared, ""),
    )


def _places(about: About) -> Callable[[pd.Series[Any]], pd.Series[Any]]:
    """Return a key that sorts arms in the report's order."""
    order = {arm: place for place, arm in enumerate((BASELINE, HUMAN, *about.agents))}
    return lambda arms: arms.map(order)


def _to_human(cells: pd.DataFrame) -> pd.Series[Any]:
    """Mark a faster patch's standing to the human's commit; empty for any other patch."""
    marks = cells["to_human"].map({"faster": ">", "slower": "<"})
    marks = marks.fillna(cells["at_least_human"].map({True: "≥", False: "~"}))
    return marks.where((cells["verdict"] == "faster") & (cells["to_human"] != ""), "")


def singles(values: pd.DataFrame) -> tuple[Single, ...]:
    """Return values of launches that were not repeated."""
    return records(values.assign(unit=values["unit"].astype(object).fillna("")), Single)
