"""Small steps between DataFrames and the report's structs."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import pandas as pd

T = TypeVar("T", bound=msgspec.Struct)


def records(frame: pd.DataFrame, kind: type[T]) -> tuple[T, ...]:
    """Return the rows as structs, from the columns that are fields; missing values are None."""
    columns = frame[[name for name in kind.__struct_fields__ if name in frame.columns]]
    rows = columns.astype(object).where(columns.notna(), None).to_dict("records")
    return tuple(msgspec.convert(rows, list[kind]))  # type: ignore[valid-type]


def counts(column: pd.Series[Any], known: Iterable[str]) -> dict[str, int]:
    """Return the count of each known value, in the order of ``known``."""
    number = column.value_counts()
    return {name: int(number.get(name, 0)) for name in known}


def most_common(column: pd.Series[Any]) -> dict[str, int]:
    """Return the count of each value that is not empty, the most frequent first."""
    number = column[column != ""].value_counts()
    order = {name: place for place, name in enumerate(column.drop_duplicates())}
    names = sorted(number.index, key=lambda name: (-number[name], order[name]))
    return {str(name): int(number[name]) for name in names}


def link(results: str, file: str) -> str:
    """Return the link to a file from the results folder; empty for a file outside of it, of which
    the report shows only the path."""
    if not file:
        return ""
    inside = os.path.relpath(file, results)
    return "" if inside.startswith("..") or Path(inside).is_absolute() else inside
