"""What identical code differs by: A/A pairs, and the floors that come of them."""

from __future__ import annotations

import math
from collections.abc import Sequence

from patchbench.records import AA, BASELINE
from patchbench.report.about import Rules
from patchbench.report.counts.rows import Row, text
from patchbench.report.model import AaPair, FloorRow, Identical, Noise
from patchbench.report.read_tables import Launch
from patchbench.verdicts.rule import MARKS

# If identical code differs by more than this (relative), the report's first lines say so.
MARGIN = 0.10
# Where the rules aren't known.
FEWEST_PAIRS = 3


def aa_pairs(twins: Sequence[Row]) -> tuple[AaPair, ...]:
    """The ratio of the A/A launch to the baseline's, block by block."""
    groups: dict[tuple[str, int, str], dict[str, float]] = {}
    for row in twins:
        key = (row["commit"], int(row["block"]), row["metric"])
        groups.setdefault(key, {})[row["arm"]] = float(row["value"])
    return tuple(
        AaPair(commit=commit, block=block, metric=metric, ratio=found[AA] / found[BASELINE])
        for (commit, block, metric), found in groups.items()
        if found.keys() >= {AA, BASELINE} and found[BASELINE] > 0
    )


def identical(comparisons: Sequence[Row], rules: Rules | None) -> tuple[Identical, ...]:
    """What would be said of a patch that changes nothing, task by task, where there are as many
    pairs as a verdict needs."""
    fewest = rules.min_blocks if rules else FEWEST_PAIRS
    return tuple(
        Identical(
            commit=row["commit"],
            metric=text(row, "metric"),
            pairs=int(row.get("pairs") or 0),
            ratio=row["ratio"],
            low=row["low"],
            high=row["high"],
            floor=row["floor"],
            verdict=row["verdict"],
            mark=MARKS[row["verdict"]].strip(),
            blocks_needed=row.get("blocks_needed"),
        )
        for row in comparisons
        if int(row.get("pairs") or 0) >= fewest
    )


def floors(comparisons: Sequence[Row]) -> tuple[FloorRow, ...]:
    """Floors in use on primary metrics, each with what it was taken from."""
    commits: dict[tuple[str, float, int, str], set[str]] = {}
    for row in comparisons:
        if row["role"] == "primary" and row.get("floor") is not None:
            key = (
                text(row, "metric"),
                float(row["floor"]),
                int(row.get("floor_pairs") or 0),
                text(row, "floor_source"),
            )
            commits.setdefault(key, set()).add(row["commit"])
    return tuple(
        FloorRow(metric=metric, floor=floor, pairs=pairs, source=source, commits=len(found))
        for (metric, floor, pairs, source), found in sorted(commits.items())
    )


def noise(comparisons: Sequence[Row], aa: Sequence[AaPair]) -> Noise | None:
    """Return the tasks on which identical code differed by more than ``MARGIN``, by their noise
    floor or by an A/A pair; None if there are none."""
    limits: dict[str, tuple[float, str]] = {}
    seen = [(pair.commit, math.expm1(abs(math.log(pair.ratio))), pair.metric) for pair in aa]
    seen += [
        (row["commit"], float(row["floor"]), text(row, "metric"))
        for row in comparisons
        if row["role"] == "primary" and row.get("floor") is not None
    ]
    for commit, change, metric in seen:
        limits[commit] = max(limits.get(commit, (0.0, "")), (change, metric))
    noisy = {commit: found for commit, found in limits.items() if found[0] > MARGIN}
    if not noisy:
        return None
    worst = max(noisy, key=lambda commit: noisy[commit])
    limit, metric = noisy[worst]
    return Noise(
        limit=limit,
        margin=MARGIN,
        commit=worst,
        metric=metric,
        commits=tuple(sorted(noisy)),
        tasks=len(limits),
        aa_pairs=len(aa),
    )


def unchecked(launches: Sequence[Launch], agents: Sequence[str]) -> tuple[str, ...]:
    """Commits of which an agent's measured output was not compared with the baseline's."""
    bare = {
        launch.commit
        for launch in launches
        if launch.arm in agents and launch.status == "measured" and launch.agreement is None
    }
    return tuple(sorted(bare))
