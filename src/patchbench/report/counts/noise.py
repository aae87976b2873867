"""Count the differences of identical code: A/A pairs, and the changes that could be seen."""

from __future__ import annotations

import pandas as pd

from patchbench.records import AA, BASELINE
from patchbench.report.about import Rules
from patchbench.report.frames import records
from patchbench.report.model import Identical, Noise, ScatterRow
from patchbench.verdicts.rule import MARKS

# If changes of this size (relative) could not be seen, the report's first lines say so.
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


def scatters(comparisons: pd.DataFrame) -> tuple[ScatterRow, ...]:
    """Return the scatter of identical code on primary metrics, where there are A/A pairs."""
    known = comparisons[(comparisons["role"] == "primary") & comparisons["scatter"].notna()]
    named = known.drop(columns="pairs").rename(
        columns={"scatter_pairs": "pairs", "scatter_bound": "bound"}
    )
    groups = named.groupby(["metric", "pairs", "scatter", "bound", "widened"])["commit"].nunique()
    return records(groups.rename("commits").reset_index(), ScatterRow)


def noise(comparisons: pd.DataFrame, aa: pd.DataFrame) -> Noise | None:
    """Return the tasks on which a change of ``MARGIN`` could not be seen in the median arm; None if
    there are none."""
    tasks = _visible(comparisons)
    worst = tasks.sort_values("visible", ascending=False, kind="stable")
    noisy = worst[worst["visible"] > MARGIN]
    if noisy.empty:
        return None
    return Noise(
        limit=float(noisy["visible"].iloc[0]),
        margin=MARGIN,
        commit=noisy["commit"].iloc[0],
        metric=noisy["metric"].iloc[0],
        commits=tuple(sorted(noisy["commit"])),
        tasks=len(worst),
        aa_pairs=len(aa),
    )


def visible(comparisons: pd.DataFrame) -> float | None:
    """Return the smallest change that could be seen on half of the tasks (0.01 is 1 %)."""
    tasks = _visible(comparisons)
    return None if tasks.empty else float(tasks["visible"].median())


def _visible(comparisons: pd.DataFrame) -> pd.DataFrame:
    """Return by task the smallest change that could be seen in the median arm."""
    primary = comparisons[(comparisons["role"] == "primary") & comparisons["visible"].notna()]
    return primary.groupby(["commit", "metric"], sort=False)["visible"].median().reset_index()
