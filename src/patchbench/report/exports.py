"""The machine-readable twins of the report: one JSON file with a schema, and CSV of each table.

Text in a CSV file may come from a log; a spreadsheet would take one that begins like a formula for
one, so such text gets a quote before it.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from patchbench.report.model import Report
from patchbench.report.tables.columns import SCHEMAS
from patchbench.system.files import write_bytes

FORMULA = ("=", "+", "-", "@", "\t", "\r")
FORMULA_PATTERN = r"^([=+\-@\t\r])"
# The one table that grows with blocks and metrics; beyond so many rows its Parquet file serves.
MOST_RUNS = 200_000
READABLE = 4 << 20


def schema() -> dict[str, Any]:
    """The JSON schema of ``report.json``, made from the structs themselves."""
    found: dict[str, Any] = _unwrapped(msgspec.json.schema(Report))
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "The report of a campaign",
        **found,
    }


def _unwrapped(schema: Any) -> Any:
    """The same with each description in one line: how docstrings are indented depends on Python."""
    if isinstance(schema, list | tuple):
        return [_unwrapped(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        key: " ".join(value.split()) if key == "description" and isinstance(value, str) else value
        for key, value in ((key, _unwrapped(value)) for key, value in schema.items())
    }


def write_json(report: Report, path: Path) -> None:
    """The whole report as JSON, numbers unrounded; a small one is laid out for people."""
    data = msgspec.json.encode(report)
    if len(data) < READABLE:
        data = msgspec.json.format(data, indent=1)
    write_bytes(path, data + b"\n")


def write_csv(report: Report, tables: Path, folder: Path) -> None:
    """Each list of the report's rows, and each of the campaign's tables, as CSV."""
    lists: dict[str, Sequence[Any]] = {
        "agents": report.agents,
        "types": report.types,
        "excluded": report.quality.excluded,
        "failures": [cause for row in report.failures for cause in _named(row.causes, row.arm)],
        "coverage": report.coverage,
        "speedups": [cell for row in report.speedups for cell in _cells(row)],
        "pairs": report.pairs,
        "aa": report.aa,
        "identical": report.identical,
        "floors": report.floors,
    }
    if report.against is not None:
        lists |= {"against_rates": report.against.rates, "against_changes": report.against.changes}
    for name, rows in lists.items():
        write_bytes(folder / f"report_{name}.csv", _csv([flat(row) for row in rows]))
    for name in SCHEMAS:
        path = tables / f"{name}.parquet"
        if path.is_file() and pq.read_metadata(path).num_rows <= MOST_RUNS:
            write_bytes(folder / f"{name}.csv", _table(pq.read_table(path)))


def _named(rows: Sequence[Any], arm: str) -> Iterator[dict[str, Any]]:
    for row in rows:
        yield {"arm": arm, **msgspec.to_builtins(row)}


def _cells(row: Any) -> Iterator[dict[str, Any]]:
    """A task's row once per arm."""
    task = {
        name: getattr(row, name)
        for name in ("commit", "title", "type", "metric", "unit", "baseline", "floor", "reference")
    }
    for cell in row.cells:
        shown = msgspec.to_builtins(cell)
        del shown["mark"]  # a spreadsheet would take it for the start of a formula
        yield {**task, **shown}


def flat(row: Any, before: str = "") -> dict[str, Any]:
    """A record with its nested fields side by side; lists become words."""
    out: dict[str, Any] = {}
    for name, value in (row if isinstance(row, Mapping) else msgspec.to_builtins(row)).items():
        if isinstance(value, Mapping):
            out |= flat(value, f"{before}{name}_")
        elif isinstance(value, list | tuple):
            out[f"{before}{name}"] = " ".join(map(str, value))
        else:
            out[f"{before}{name}"] = value
    return out


def _csv(rows: Sequence[Mapping[str, Any]]) -> bytes:
    names = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: quoted(value) for name, value in row.items()} for row in rows)
    return text.getvalue().encode()


def quoted(value: Any) -> Any:
    """Text that no spreadsheet takes for a formula."""
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value


def _table(table: pa.Table) -> bytes:
    for place, field in enumerate(table.schema):
        if pa.types.is_string(field.type):
            safe = pc.replace_substring_regex(table[place], FORMULA_PATTERN, r"'\1")
            table = table.set_column(place, field, safe)
        elif pa.types.is_list(field.type):
            words = [None if x is None else " ".join(map(str, x)) for x in table[place].to_pylist()]
            table = table.set_column(
                place, pa.field(field.name, pa.string()), pa.array(words, pa.string())
            )
    data = pa.BufferOutputStream()
    pa_csv.write_csv(table, data)
    return bytes(data.getvalue())


if __name__ == "__main__":
    # What workflow/schemas/report.schema.json holds.
    print(msgspec.json.format(msgspec.json.encode(schema()), indent=2).decode())
