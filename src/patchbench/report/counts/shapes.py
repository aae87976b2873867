"""Find what launches show beside noise: a trend over their windows, two kinds of launches, and what
the arm before left behind. Only what exceeds a task's margin is a finding."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from patchbench.report.model import ShapeRow
from patchbench.verdicts import launch_shape
from patchbench.verdicts.launch_shape import Change, Launch

KEYS = ["commit", "arm", "block"]


def shapes(
    values: pd.DataFrame, launches: pd.DataFrame, comparisons: pd.DataFrame
) -> tuple[ShapeRow, ...]:
    """Return the findings on primary metrics, by commit."""
    primary = comparisons[(comparisons["role"] == "primary") & comparisons["margin"].notna()]
    tasks = primary.groupby(["commit", "metric"], sort=False)["margin"].max().reset_index()
    known = values[values["value"] > 0].astype({"commit": object, "metric": object})
    known = known.merge(tasks, on=["commit", "metric"])
    known = known.merge(launches[[*KEYS, "position"]], on=KEYS)
    rows: list[ShapeRow] = []
    for (commit, metric), group in known.groupby(["commit", "metric"], sort=True):
        rows += _of_task(str(commit), str(metric), group)
    return tuple(rows)


def _of_task(commit: str, metric: str, group: pd.DataFrame) -> Iterator[ShapeRow]:
    margin = math.log1p(float(group["margin"].max()))

    def row(what: str, change: Change) -> ShapeRow:
        return ShapeRow(commit=commit, metric=metric, what=what, **change._asdict())

    windows = [list(found) for found in group["windows"] if isinstance(found, np.ndarray | list)]
    rise = launch_shape.trend(windows)
    if rise and rise.shown and abs(math.log(rise.ratio)) > margin:
        yield row("last window of a launch to its first", rise)
    order = list(_launches(group))
    modes = launch_shape.modes(launch_shape.residuals(order))
    if modes and math.log(modes.ratio) > margin:
        what = f"launches of two kinds: {modes.higher} to {modes.lower}"
        yield ShapeRow(
            commit=commit, metric=metric, what=what, ratio=modes.ratio, launches=len(order)
        )
    for arm, change in launch_shape.carry_over(order).items():
        if change.shown and abs(math.log(change.ratio)) > margin:
            yield row(f"launches after {arm} to others", change)


def _launches(group: pd.DataFrame) -> Iterator[Launch]:
    """Return a task's launches with the arm that was launched before each in its block."""
    for block, rows in group.sort_values("position").groupby("block", sort=True):
        before, place = "", -1
        columns: list[list[Any]] = [rows[name].tolist() for name in ("arm", "position", "value")]
        for arm, at, value in zip(*columns, strict=True):
            at = -1 if pd.isna(at) else int(at)
            follows = at >= 0 and at == place + 1
            yield Launch(int(str(block)), str(arm), before if follows else "", float(value))
            before, place = str(arm), at
