"""Count the ratio to the baseline block by block: what a verdict's interval is made of."""

from __future__ import annotations

from collections import defaultdict

import pandas as pd

from patchbench.parsing.names import METRICS
from patchbench.records import AA, BASELINE
from patchbench.report.model import BlockRatio

LOWER = frozenset(name for name, metric in METRICS.items() if metric.direction == "lower")


def block_ratios(
    values: pd.DataFrame, tasks: pd.DataFrame
) -> dict[tuple[str, str], tuple[BlockRatio, ...]]:
    """Return the ratios on the primary metric by commit and arm, in the order of blocks."""
    primary = tasks[["commit", "primary_metric"]].rename(columns={"primary_metric": "metric"})
    plain = values.astype({"commit": object, "arm": object, "metric": object})
    own = plain[plain["value"] > 0].merge(primary, on=["commit", "metric"])
    base = own.loc[own["arm"] == BASELINE, ["commit", "block", "value"]]
    arms = own[~own["arm"].isin([BASELINE, AA])]
    both = arms.merge(base, on=["commit", "block"], suffixes=("", "_base")).sort_values("block")
    lower = both["metric"].isin(LOWER)
    ratio = (both["value_base"] / both["value"]).where(lower, both["value"] / both["value_base"])
    found: defaultdict[tuple[str, str], list[BlockRatio]] = defaultdict(list)
    for commit, arm, block, value in zip(
        both["commit"], both["arm"], both["block"], ratio, strict=True
    ):
        found[commit, arm].append(BlockRatio(block=int(block), ratio=float(value)))
    return {key: tuple(of_blocks) for key, of_blocks in found.items()}
