"""Read a table of a results folder as structs, one per row."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from patchbench.errors import BadInput
from patchbench.records import Record

Row = TypeVar("Row", bound=Record)


def read_rows(results: Path, name: str, kind: type[Row]) -> list[Row]:
    """Return the rows of a table; columns that the struct lacks are left out, and those that an
    older table lacks are None. Raises BadInput if there is no such table, or it lacks what the
    struct needs."""
    path = results / "tables" / f"{name}.parquet"
    if not path.is_file():
        raise BadInput(f"{path}: no such table | next: render the report once (snakemake report)")
    known = set(kind.__struct_fields__)
    try:
        columns = [column for column in pq.read_schema(path).names if column in known]
        rows = pq.read_table(path, columns=columns).to_pylist()
        needed = {field.name for field in msgspec.structs.fields(kind) if field.required}
        absent = dict.fromkeys(needed - set(columns))
        return [msgspec.convert(absent | row, kind) for row in rows]
    except (pa.ArrowInvalid, msgspec.ValidationError) as error:
        raise BadInput(f"{path}: can't be read: {str(error).splitlines()[0]}") from error
