"""Reading what a report is counted from: the tables' columns that it needs, and no more of the one
large table (runs) than fits a small machine. What older tables lack reads as missing.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from patchbench.errors import BadInput
from patchbench.records import AA, BASELINE

Row = dict[str, Any]

# Without these columns a table says nothing; all others are optional.
KEYS: dict[str, tuple[str, ...]] = {
    "tasks": ("commit", "status"),
    "patches": ("commit", "arm", "status"),
    "outcomes": ("commit", "arm", "status", "cause", "blame", "verdict"),
    "comparisons": ("commit", "arm", "role", "ratio", "low", "high", "verdict"),
    "runs": ("commit", "arm", "block", "launched", "status", "metric", "value"),
}
COLUMNS: dict[str, tuple[str, ...]] = {
    "tasks": (
        *("title", "subject", "type", "parent_origin", "primary_metric", "workload_id"),
        *("exclusion", "exclusion_evidence", "warnings", "reference"),
    ),
    "patches": (
        *("source", "measured_sha256", "stage", "cause", "flags", "normalised", "stripped"),
        *("why_missing", "conflict", "warnings", "build_seconds"),
    ),
    "outcomes": (
        *("type", "stage", "evidence", "evidence_file", "evidence_line", "log"),
        *("blocks_measured", "blocks_failed", "at_least_human", "review"),
    ),
    "comparisons": (
        *("metric", "unit", "pairs", "value", "reference_value", "p_adjusted", "floor"),
        *("blocks_needed", "at_least_human", "level", "floor_pairs", "floor_source", "review"),
    ),
    "runs": (
        *("unit", "blame", "agreement", "started", "ended", "host", "runtime"),
        *("gpu_slot", "load_1min", "versions", "gpu_model", "gpu_driver", "gpu_throttle"),
        *("gpu_working", "gpu_sm_mhz", "gpu_power_w", "gpu_temperature_c"),
    ),
}


class Launch(NamedTuple):
    """One run of one arm: what is the same for all of its metrics. ``launched`` is false for an arm
    that was decided without; times are ISO 8601."""

    commit: str
    arm: str
    block: int
    launched: bool
    status: str
    blame: str | None
    agreement: float | None
    started: str | None
    ended: str | None
    host: str | None
    runtime: str | None
    gpu_slot: str | None
    load_1min: str | None
    versions: str | None
    gpu_model: str | None = None
    gpu_driver: str | None = None
    gpu_throttle: str | None = None
    gpu_working: float | None = None
    gpu_sm_mhz: float | None = None
    gpu_power_w: float | None = None
    gpu_temperature_c: float | None = None


class Source(NamedTuple):
    """Rows of the tables. ``comparisons`` are those with the baseline or the human on the primary
    metric, ``identical`` those of A/A launches with the baseline's; ``launches`` has a row per run;
    ``twins`` are the values of both launches of an A/A pair and ``singles`` all values, where
    nothing was repeated."""

    tasks: list[Row]
    patches: list[Row]
    outcomes: list[Row]
    comparisons: list[Row]
    identical: list[Row]
    launches: list[Launch]
    twins: list[Row]
    singles: list[Row]


def read(folder: Path, *, singles: bool = False) -> Source:
    """Read a folder of tables. Raises BadInput for one that is missing or lacks a key column."""
    found = {}
    for name in KEYS:
        path = folder / f"{name}.parquet"
        if not path.is_file():
            raise BadInput(f"{path}: no such table | next: run aggregate (snakemake report)")
        try:
            held = pq.read_schema(path)
            wanted = [c for c in (*KEYS[name], *COLUMNS[name]) if c in held.names]
            text = [c for c in wanted if pa.types.is_string(held.field(c).type)]
            found[name] = pq.read_table(path, columns=wanted, read_dictionary=text)
        except (pa.ArrowInvalid, OSError) as error:
            raise BadInput(f"{path}: can't be read: {str(error).splitlines()[0]}") from error
        missing = [c for c in KEYS[name] if c not in held.names]
        if missing:
            raise BadInput(f"{path}: no column {missing[0]!r}; has {', '.join(held.names)}")
    return of(found, singles=singles)


def of(found: Mapping[str, pa.Table], *, singles: bool = False) -> Source:
    """The same from tables in memory."""

    def compared(*roles: str) -> list[Row]:
        rows = found["comparisons"]
        asked = pc.is_in(rows["role"].cast(pa.string()), pa.array(roles))
        return _rows({"comparisons": rows.filter(asked)}, "comparisons")

    tasks = _rows(found, "tasks")
    return Source(
        tasks=tasks,
        patches=_rows(found, "patches"),
        outcomes=_rows(found, "outcomes"),
        comparisons=compared("primary", "human"),
        identical=compared("aa"),
        launches=_launches(found["runs"]),
        twins=_twins(found["runs"], {row["commit"]: row["primary_metric"] for row in tasks}),
        singles=_values(found["runs"]) if singles else [],
    )


def _rows(found: Mapping[str, pa.Table], name: str) -> list[Row]:
    """A table as plain rows, each with all columns that are asked for."""
    table = found[name]
    names = (*KEYS[name], *COLUMNS[name])
    absent = dict.fromkeys(c for c in names if c not in table.column_names)
    rows = table.select([c for c in names if c in table.column_names]).to_pylist()
    return [row | absent for row in rows] if absent else rows


def _launches(runs: pa.Table) -> list[Launch]:
    """One row per run. The runs table has one per metric of a run, the run's rows together; only
    their first ones become objects."""
    if not runs.num_rows:
        return []
    first = np.zeros(runs.num_rows, dtype=bool)
    first[0] = True
    for name in ("commit", "arm", "block"):
        column = runs[name].combine_chunks()
        if pa.types.is_string(column.type):
            column = column.dictionary_encode()
        codes: Any = column
        if pa.types.is_dictionary(column.type):
            codes = codes.indices
        values = codes.to_numpy(zero_copy_only=False)
        first[1:] |= values[1:] != values[:-1]
    mine = runs.filter(pa.array(first))
    blank = [None] * mine.num_rows
    held = [
        mine[name].to_pylist() if name in mine.column_names else blank for name in Launch._fields
    ]
    found = {(row[0], row[1], row[2]): row for row in zip(*held, strict=True)}
    return [Launch(*row) for row in found.values()]


def _twins(runs: pa.Table, primary: Mapping[str, str | None]) -> list[Row]:
    """Values of the baseline's two launches in a block, on the task's primary metric."""
    wanted = runs.select(["commit", "arm", "block", "metric", "value"])
    twins = wanted.filter(
        pc.and_(
            pc.is_in(wanted["arm"].cast(pa.string()), pa.array([BASELINE, AA])),
            pc.is_valid(wanted["value"]),
        )
    )
    return [row for row in twins.to_pylist() if row["metric"] == primary.get(row["commit"])]


def _values(runs: pa.Table) -> list[Row]:
    wanted = runs.select(["commit", "arm", "metric", "value", "unit"])
    return list(wanted.filter(pc.is_valid(wanted["value"])).to_pylist())
