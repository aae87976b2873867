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
    """Return the rows as structs, from the columns that are fields; what is missing is None."""
    columns = frame[[name for name in kind.__struct_fields__ if name in frame.columns]]
    rows = columns.astype(object).where(columns.notna(), None).to_dict("records")
    return tuple(msgspec.convert(rows, list[kind]))  # type: ignore[valid-type]


def counts(found: pd.Series[Any], known: Iterable[str]) -> dict[str, int]:
    """Return how often each known value stands there, in the order of the known ones."""
    number = found.value_counts()
    return {name: int(number.get(name, 0)) for name in known}


def most_common(found: pd.Series[Any]) -> dict[str, int]:
    """Return how often each value that is not empty stands there, the most frequent first."""
    number = found[found != ""].value_counts()
    order = {name: place for place, name in enumerate(found.drop_duplicates())}
    names = sorted(number.index, key=lambda name: (-number[name], order[name]))
    return {str(name): int(number[name]) for name in names}


def link(results: str, file: str) -> str:
    """Return a file of the results folder relative to it, as a report's link; empty for any other
    file: its path is shown and can't be followed."""
    if not file:
        return ""
    inside = os.path.relpath(file, results)
    return "" if inside.startswith("..") or Path(inside).is_absolute() else inside
