"""Read task lists in all known shapes: our own YAML and JSON(L), the commit mapping
keyed by 8 characters, the baseline mappings v1 and v2, the JSONL of parents, and the data set's
Parquet rows.

A shape is recognised by the keys of its records, never by a file's name; each is one row of a
table that says which key holds which of our fields.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from patchbench.errors import BadInput
from patchbench.plan import config_file
from patchbench.plan.configuration import TaskList
from patchbench.records import Record

HEX = re.compile(r"[0-9a-f]{7,40}")


class Entry(Record, frozen=True, kw_only=True):
    """One record of one list: a commit (7 to 40 characters) and its fields."""

    commit: str
    fields: dict[str, Any]
    origin: str


class Shape(NamedTuple):
    """A kind of record: the keys that mark it, and those that hold our fields. Of several keys the
    first that has a value counts."""

    name: str
    marks: tuple[str, ...]
    fields: Mapping[str, tuple[str, ...]]


# In this order: the parents' list has a key "commit" too, but there it is the parent's.
SHAPES: tuple[Shape, ...] = (
    Shape(
        "parents file",
        ("human_commit", "commit"),
        {"commit": ("human_commit",), "parent": ("commit",)},
    ),
    Shape(
        "baseline mapping",
        ("human_commit_full",),
        {
            "commit": ("human_commit_full", "human_commit_short"),
            "parent": ("parent_commit_full", "parent_commit", "parent_commit_short"),
            "mode": ("benchmark_type",),
            "model": ("model",),
            "title": ("commit_subject",),
            "url": ("pr_url",),
        },
    ),
    Shape(
        "commit mapping",
        ("commit_full", "perf_command"),
        {
            "commit": ("commit_full",),
            "parent": ("parent_commit",),
            "mode": ("benchmark_mode",),
            "model": ("model",),
            "perf_command": ("perf_command",),
        },
    ),
    Shape(
        "data set",
        ("commit_hash",),
        {
            "commit": ("commit_hash",),
            "parent": ("parent_commit",),
            "perf_command": ("perf_command",),
            "model": ("models",),
            "title": ("commit_subject",),
            "url": ("pr_url",),
            "repo": ("repo",),
        },
    ),
    Shape(
        "own list",
        ("commit", "perf_command"),
        {
            name: (name,)
            for name in (
                "commit",
                "parent",
                "perf_command",
                "title",
                "subject",
                "primary_metric",
                "guard_metrics",
                "answers",
                "model",
                "mode",
            )
        },
    ),
)


def read(path: str, origin: str, get: str = "") -> list[Entry]:
    """Return all entries of one list. Raises BadInput that names the file and the record, or where
    to get a missing file."""
    file = Path(path)
    if not file.is_file():
        raise BadInput(f"{origin}: no such file: {path}" + (f" | get it: {get}" if get else ""))
    return [entry(record, f"{path}: {place}") for place, record in records(file)]


def records(file: Path) -> Iterator[tuple[str, Any]]:
    """Yield the records of a file, each after its place."""
    kind = file.suffix.lower()
    if kind == ".parquet":
        yield from _parquet(file)
    elif kind == ".jsonl":
        yield from _lines(file)
    else:
        loaded = config_file.read_yaml(file)  # JSON is YAML
        if isinstance(loaded, dict) and "tasks" in loaded:
            config_file.read(loaded, TaskList, str(file))
            yield from ((f"tasks.{i}", record) for i, record in enumerate(loaded["tasks"]))
        elif isinstance(loaded, dict) and loaded and all(HEX.fullmatch(str(k)) for k in loaded):
            yield from ((str(key), record) for key, record in loaded.items())
        elif isinstance(loaded, list):
            yield from ((f"{i}", record) for i, record in enumerate(loaded))
        else:
            raise BadInput(
                f"{file}: no task list: no 'tasks:', no mapping keyed by commits, no list"
            )


def _lines(file: Path) -> Iterator[tuple[str, Any]]:
    with file.open(encoding="utf-8", errors="replace") as lines:
        for number, line in enumerate(lines, 1):
            if line.strip():
                try:
                    yield f"line {number}", json.loads(line)
                except ValueError as error:
                    raise BadInput(f"{file}: line {number}: not JSON: {error}") from error


def _parquet(file: Path) -> Iterator[tuple[str, Any]]:
    import pyarrow as pa  # 0.2 s that only this shape costs
    import pyarrow.parquet as pq

    wanted = {key for shape in SHAPES for keys in shape.fields.values() for key in keys}
    try:
        columns = [name for name in pq.read_schema(file).names if name in wanted]
        rows = pq.read_table(file, columns=columns).to_pylist()
    except (pa.ArrowException, OSError) as error:
        raise BadInput(f"{file}: not readable as Parquet: {error}") from error
    yield from ((f"row {number}", row) for number, row in enumerate(rows))


def entry(record: Any, origin: str) -> Entry:
    """Return one record as an entry. Raises BadInput for an unknown shape."""
    if not isinstance(record, dict):
        raise BadInput(f"{origin}: not a record but {type(record).__name__}")
    shape = next((s for s in SHAPES if all(mark in record for mark in s.marks)), None)
    if shape is None:
        keys = ", ".join(sorted(map(str, record))[:8])
        raise BadInput(f"{origin}: no known kind of task record; its keys: {keys}")
    values = {name: _first(record, keys) for name, keys in shape.fields.items()}
    commit = str(values.pop("commit") or "").strip().lower()
    if not HEX.fullmatch(commit):
        raise BadInput(f"{origin}: {shape.name}: no commit hash: {commit!r}")
    fields = {name: value for name, value in values.items() if value is not None}
    return Entry(commit=commit, fields=fields, origin=origin)


def _first(record: Mapping[str, Any], keys: tuple[str, ...]) -> Any:
    """Return the first value that is neither blank nor an empty list."""
    for key in keys:
        value = record.get(key)
        if isinstance(value, list) and key == "models":
            value = value[0] if value else None
        if isinstance(value, str):
            value = value.strip() or None
        if value is not None:
            return value
    return None
