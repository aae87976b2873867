"""Read the tables of a report as DataFrames: only the columns that it needs. The one large table
(runs) is split into one row per launch and the values.

Columns that older tables lack read as missing. Missing text is empty, a missing flag false, a
missing whole number ``pd.NA`` (type Int64), a missing real NaN.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from patchbench.errors import BadInput
from patchbench.report.tables.columns import SCHEMAS

# Columns without which a table is useless; all others are optional.
KEYS: dict[str, tuple[str, ...]] = {
    "tasks": ("commit", "status"),
    "patches": ("commit", "arm", "status"),
    "outcomes": ("commit", "arm", "status", "cause", "blame", "verdict"),
    "comparisons": ("commit", "arm", "role", "ratio", "low", "high", "verdict"),
    "runs": ("commit", "arm", "block", "launched", "status", "metric", "value"),
    "findings": ("commit", "arm", "cause", "severity", "text"),
}
# Tables that campaigns of older versions lack.
OPTIONAL = ("findings",)
COLUMNS: dict[str, tuple[str, ...]] = {
    "tasks": (
        *("title", "subject", "type", "parent_origin", "primary_metric", "workload_id"),
        *("exclusion", "exclusion_evidence", "warnings", "reference", "measured_by", "load"),
        "perf_command",
    ),
    "patches": (
        *("source", "measured_sha256", "stage", "cause", "flags", "normalised", "stripped"),
        *("why_missing", "conflict", "warnings", "build_seconds", "files", "lines_added"),
        *("lines_removed", "tests_touched", "similarity", "prompt_overlap"),
    ),
    "outcomes": (
        *("type", "stage", "evidence", "evidence_file", "evidence_line", "log"),
        *("blocks_measured", "blocks_failed", "at_least_human", "review"),
        *("answers_status", "answers_rule", "answers_reason", "answers_scored"),
        *("answers_gap", "answers_baseline_gap"),
    ),
    "comparisons": (
        *("metric", "unit", "pairs", "value", "reference_value", "p_adjusted", "margin"),
        *("blocks_needed", "at_least_human", "level", "visible", "widened", "review"),
        *("scatter", "scatter_bound", "scatter_pairs", "selected_low", "selected_high"),
    ),
    "runs": (
        *(
            "unit",
            "position",
            "windows",
            "blame",
            "agreement",
            "started",
            "ended",
            "host",
            "runtime",
        ),
        *("gpu_slot", "load_1min", "versions", "gpu_model", "gpu_driver", "gpu_throttle"),
        *("gpu_working", "gpu_sm_mhz", "gpu_power_w", "gpu_temperature_c"),
        *("counted_by", "windows_left_out"),
    ),
    "findings": ("block", "window", "request", "requests", "file"),
}
LAUNCH = ("commit", "arm", "block")
VALUES = (*LAUNCH, "metric", "value", "unit", "windows")


class Tables(NamedTuple):
    """A campaign's tables. ``launches`` has one row per launch of one arm, ``values`` one for each
    of its metrics."""

    tasks: pd.DataFrame
    patches: pd.DataFrame
    outcomes: pd.DataFrame
    comparisons: pd.DataFrame
    findings: pd.DataFrame
    launches: pd.DataFrame
    values: pd.DataFrame


def read(folder: Path) -> Tables:
    """Read a folder of tables. Raises BadInput for one that is missing or lacks a key column."""
    tables = {}
    for name in KEYS:
        path = folder / f"{name}.parquet"
        if name in OPTIONAL and not path.is_file():
            tables[name] = SCHEMAS[name].empty_table()
            continue
        if not path.is_file():
            raise BadInput(f"{path}: no such table | next: run aggregate (snakemake report)")
        try:
            schema = pq.read_schema(path)
            wanted = [c for c in (*KEYS[name], *COLUMNS[name]) if c in schema.names]
            text = [c for c in wanted if pa.types.is_string(schema.field(c).type)]
            tables[name] = pq.read_table(path, columns=wanted, read_dictionary=text)
        except (pa.ArrowInvalid, OSError) as error:
            raise BadInput(f"{path}: can't be read: {str(error).splitlines()[0]}") from error
        missing = [c for c in KEYS[name] if c not in schema.names]
        if missing:
            raise BadInput(f"{path}: no column {missing[0]!r}; has {', '.join(schema.names)}")
    return of(tables)


def of(tables: Mapping[str, pa.Table]) -> Tables:
    """Return the same DataFrames from tables in memory."""
    frames = {
        name: tables[name]
        .to_pandas(ignore_metadata=True)
        .reindex(columns=[*KEYS[name], *COLUMNS[name]])
        for name in KEYS
    }
    runs = frames.pop("runs")
    values = runs.loc[runs["value"].notna(), list(VALUES)]
    launches = runs.drop_duplicates(list(LAUNCH)).drop(
        columns=["metric", "value", "unit", "windows"]
    )
    return Tables(
        **{name: typed(frame, SCHEMAS[name]) for name, frame in frames.items()},
        launches=typed(launches, SCHEMAS["runs"]),
        values=values,
    )


def typed(frame: pd.DataFrame, schema: pa.Schema) -> pd.DataFrame:
    """Return the frame with the types that this module's docstring names."""
    return pd.DataFrame(
        {name: _column(frame[name], schema.field(name).type) for name in frame.columns}
    )


def _column(series: pd.Series[Any], kind: pa.DataType) -> pd.Series[Any]:
    if pa.types.is_string(kind):
        return series.astype(object).fillna("")
    if pa.types.is_boolean(kind):
        return series.eq(True)
    return series.astype("Int64" if pa.types.is_integer(kind) else float)
