"""Small questions that all counting asks of the tables' rows."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from patchbench.failures.causes import CAUSES, Cause
from patchbench.report.model import Mean, Share
from patchbench.verdicts.scores import MISSING, Size, rate

Row = dict[str, Any]

# For causes of older tables that the code knows no more.
NO_CAUSE = CAUSES["unknown"]


def by_arm(rows: Iterable[Row]) -> dict[str, list[Row]]:
    """Rows of each arm, in their order."""
    out: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        out[row["arm"]].append(row)
    return out


def share(part: int, whole: int) -> Share:
    """A proportion with its interval."""
    found = rate(part, whole)
    return Share(part=part, whole=whole, share=found.share, low=found.low, high=found.high)


def mean(size: Size) -> Mean:
    """A geometric mean as the report holds it."""
    return Mean(**size._asdict(), rough=size.rough)


def is_missing(outcome: Row) -> bool:
    """Whether there was no patch at all: lack of coverage, no failure."""
    return bool(outcome["status"] == "failed" and outcome["cause"] == MISSING)


def is_failed(outcome: Row) -> bool:
    """Whether there was a patch and no valid measurement of it."""
    return bool(outcome["status"] == "failed" and outcome["cause"] != MISSING)


def cause_of(name: str) -> Cause:
    """What is known of a cause."""
    return CAUSES.get(name, NO_CAUSE)


def count(names: Iterable[Any], known: Iterable[str]) -> dict[str, int]:
    """How often each known name stands there, in the order of the known ones."""
    found = list(names)
    return {name: found.count(name) for name in known}


def link(results: str, file: str | None) -> str:
    """A file of the results folder relative to it, as a report's link; empty for any other file
    (such a path is shown, and can't be followed)."""
    if not file:
        return ""
    inside = os.path.relpath(file, results)
    return "" if inside.startswith("..") or Path(inside).is_absolute() else inside


def text(row: Mapping[str, Any], name: str) -> str:
    """A column as text, empty where it is missing."""
    value = row.get(name)
    return "" if value is None else str(value)
