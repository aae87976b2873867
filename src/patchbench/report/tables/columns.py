"""The campaign's tables: one struct per row, from which the Parquet schemas follow, units included.

A field that is None is null in the table. Ratios over 1 are better for every metric.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
import pyarrow as pa

from patchbench.records import Record
from patchbench.verdicts.comparisons import Comparison


def _unit(unit: str) -> msgspec.Meta:
    return msgspec.Meta(extra={"unit": unit})


Bytes = Annotated[int | None, _unit("bytes")]
Seconds = Annotated[float | None, _unit("s")]
Megahertz = Annotated[float | None, _unit("MHz")]
Watts = Annotated[float | None, _unit("W")]
Celsius = Annotated[float | None, _unit("degrees Celsius")]
Mebibytes = Annotated[float | None, _unit("MiB")]
Jaccard = Annotated[float | None, _unit("1, token Jaccard with the human's added lines")]
Overlap = Annotated[float | None, _unit("1, share of the human's added lines in the prompt")]
Nats = Annotated[float | None, _unit("nats per token")]
Working = Annotated[float | None, _unit("1, share of the launch in which a kernel ran")]


class TaskRow(Record, frozen=True, kw_only=True):
    """One task of the list. ``reference`` says if the human's gain was reproduced, ``measured_by``
    is judge or own (the commit's own benchmark); ``load`` is what the judge sent in place of the
    command, empty if the commit's own benchmark measured."""

    commit: str
    title: str | None = None
    subject: str | None = None
    type: str | None = None
    parent: str | None = None
    parent_origin: str | None = None
    primary_metric: str | None = None
    workload_id: str | None = None
    perf_command: str | None = None
    load: str | None = None
    status: str
    exclusion: str | None = None
    exclusion_evidence: str | None = None
    warnings: str | None = None
    reference: str | None = None
    measured_by: str | None = None


class PatchRow(Record, frozen=True, kw_only=True):
    """One patch: its source, its changes by validation, and the last stage that it passed."""

    commit: str
    arm: str
    source: str | None = None
    path: str | None = None
    sha256: str | None = None
    size: Bytes = None
    measured_sha256: str | None = None
    status: str
    stage: str | None = None
    cause: str | None = None
    evidence: str | None = None
    files: int | None = None
    lines_added: int | None = None
    lines_removed: int | None = None
    normalised: str | None = None
    stripped: str | None = None
    flags: str | None = None
    build_seconds: Seconds = None
    tests_touched: bool | None = None
    similarity: Jaccard = None
    prompt_overlap: Overlap = None
    why_missing: str | None = None
    conflict: bool | None = None
    warnings: str | None = None


class RunRow(Record, frozen=True, kw_only=True):
    """One metric of one launch; a launch without metrics has one row. Times are ISO 8601, figures
    of the GPU are means of the time in which a kernel ran."""

    commit: str
    arm: str
    block: int
    position: int | None = None
    launched: bool | None = None
    status: str
    metric: str | None = None
    value: float | None = None
    unit: str | None = None
    direction: str | None = None
    format: str | None = None
    stage: str | None = None
    cause: str | None = None
    blame: str | None = None
    evidence: str | None = None
    evidence_file: str | None = None
    evidence_line: int | None = None
    agreement: float | None = None
    counted_by: str | None = None
    windows_left_out: int | None = None
    started: str | None = None
    ended: str | None = None
    folder: str | None = None
    image: str | None = None
    patch_sha256: str | None = None
    workload_id: str | None = None
    host: str | None = None
    node: str | None = None
    slurm_job: str | None = None
    runtime: str | None = None
    gpu_slot: str | None = None
    load_1min: str | None = None
    versions: str | None = None
    gpu_model: str | None = None
    gpu_driver: str | None = None
    gpu_working: Working = None
    gpu_sm_mhz: Megahertz = None
    gpu_memory_mhz: Megahertz = None
    gpu_power_w: Watts = None
    gpu_temperature_c: Celsius = None
    gpu_memory_mib: Mebibytes = None
    gpu_throttle: str | None = None
    windows: tuple[float, ...] | None = None


class OutcomeRow(Record, frozen=True, kw_only=True):
    """The outcome of one arm of one task over all its blocks. ``answers_*`` are the check of the
    answers that it gave under load (``records.AnswerCheck``)."""

    commit: str
    arm: str
    type: str | None = None
    status: str
    stage: str | None = None
    cause: str | None = None
    blame: str | None = None
    evidence: str | None = None
    evidence_file: str | None = None
    evidence_line: int | None = None
    log: str | None = None
    blocks_measured: int = 0
    blocks_failed: int = 0
    verdict: str = "not measured"
    at_least_human: bool | None = None
    review: str | None = None
    answers_status: str | None = None
    answers_rule: str | None = None
    answers_reason: str | None = None
    answers_scored: int | None = None
    answers_gap: Nats = None
    answers_baseline_gap: Nats = None


class FindingRow(Record, frozen=True, kw_only=True):
    """One thing that the judge's audit of a launch found: the first request that shows it, and how
    many do. A fault is the launch's cause; a note decides nothing."""

    commit: str
    arm: str
    block: int
    window: int
    cause: str
    severity: str
    request: int | None = None
    requests: int
    text: str
    file: str


class ComparisonRow(Comparison, frozen=True, kw_only=True):
    """One comparison, with the metric's unit."""

    unit: str


ROWS: dict[str, type[Record]] = {
    "tasks": TaskRow,
    "patches": PatchRow,
    "runs": RunRow,
    "outcomes": OutcomeRow,
    "comparisons": ComparisonRow,
    "findings": FindingRow,
}

_TYPES: dict[Any, pa.DataType] = {
    str: pa.string(),
    int: pa.int64(),
    float: pa.float64(),
    bool: pa.bool_(),
    tuple[float, ...]: pa.list_(pa.float64()),
}


def schema(row: type[Record]) -> pa.Schema:
    """Return the Parquet schema of a row's struct; units stand in the columns' metadata."""
    fields = []
    for name, kind in typing.get_type_hints(row, include_extras=True).items():
        units = [m.extra["unit"] for m in getattr(kind, "__metadata__", ()) if m.extra]
        bare = kind.__origin__ if units else kind
        options = typing.get_args(bare) if isinstance(bare, types.UnionType) else (bare,)
        (scalar,) = (option for option in options if option is not type(None))
        metadata = {"unit": units[0]} if units else None
        fields.append(pa.field(name, _TYPES[scalar], metadata=metadata))
    return pa.schema(fields)


SCHEMAS: dict[str, pa.Schema] = {name: schema(row) for name, row in ROWS.items()}


def table(name: str, rows: Sequence[Record]) -> pa.Table:
    """Return the table that holds rows of a struct."""
    return pa.Table.from_pylist(msgspec.to_builtins(rows), schema=SCHEMAS[name])
