"""Count the differences of identical code: A/A pairs, and the floors that follow from them."""

from __future__ import annotations

import math

import pandas as pd

from patchbench.records import AA, BASELINE
from patchbench.report.about import Rules
from patchbench.report.frames import records
from patchbench.report.model import FloorRow, Identical, Noise
from patchbench.verdicts.rule import MARKS

# If identical code differs by more than this (relative), the report's first lines say so.
MARGIN = 0.10
# The number of pairs that a verdict needs, if the rules are not known.
FEWEST_PAIRS = 3


def aa_pairs(values: pd.DataFrame, tasks: pd.DataFrame) -> pd.DataFrame:
    """Return the ratio of the A/A launch to the baseline's on the primary metric, block by block
    (columns: commit, block, metric, ratio)."""
    primary = tasks[["commit", "primary_metric"]].rename(columns={"primary_metric": "metric"})
    twins = values[values["arm"].isin([BASELINE, AA])].astype({"commit": object, "metric": object})
    twins = twins.merge(primary, on=["commit", "metric"])
    keys = ["commit", "block", "metric"]
    one, two = (twins.loc[twins["arm"] == arm, [*keys, "value"]] for arm in (BASELINE, AA))
    both = one[one["value"] > 0].merge(two, on=keys)
    return both.assign(ratio=both["value_y"] / both["value_x"])[[*keys, "ratio"]]


def identical(comparisons: pd.DataFrame, rules: Rules | None) -> tuple[Identical, ...]:
    """Return the verdict on a patch that changes nothing, for each task with as many pairs as a
    verdict needs."""
    fewest = rules.min_blocks if rules else FEWEST_PAIRS
    rows = comparisons[(comparisons["role"] == "aa") & (comparisons["pairs"] >= fewest)]
    return records(rows.assign(mark=rows["verdict"].map(MARKS).str.strip()), Identical)


def _primary_floors(comparisons: pd.DataFrame) -> pd.DataFrame:
    return comparisons[(comparisons["role"] == "primary") & comparisons["floor"].notna()]


def floors(comparisons: pd.DataFrame) -> tuple[FloorRow, ...]:
    """Return the floors in use on primary metrics, each with its source."""
    named = _primary_floors(comparisons).fillna({"floor_pairs": 0}).drop(columns="pairs")
    named = named.rename(columns={"floor_pairs": "pairs", "floor_source": "source"})
    groups = named.groupby(["metric", "floor", "pairs", "source"])["commit"].nunique()
    return records(groups.rename("commits").reset_index(), FloorRow)


def noise(comparisons: pd.DataFrame, aa: pd.DataFrame) -> Noise | None:
    """Return the tasks on which identical code differed by more than ``MARGIN``, by their noise
    floor or by an A/A pair; None if there are none."""
    change = aa["ratio"].map(lambda ratio: math.expm1(abs(math.log(ratio))))
    floors = _primary_floors(comparisons)[["commit", "metric", "floor"]]
    seen = pd.concat([aa.assign(floor=change)[["commit", "metric", "floor"]], floors])
    worst = seen.sort_values("floor", ascending=False, kind="stable").drop_duplicates("commit")
    noisy = worst[worst["floor"] > MARGIN]
    if noisy.empty:
        return None
    return Noise(
        limit=float(noisy["floor"].iloc[0]),
        margin=MARGIN,
        commit=noisy["commit"].iloc[0],
        metric=noisy["metric"].iloc[0],
        commits=tuple(sorted(noisy["commit"])),
        tasks=len(worst),
        aa_pairs=len(aa),
    )
