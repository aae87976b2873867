"""What identical code differs by: A/A pairs, and the floors that come of them."""

from __future__ import annotations

from collections.abc import Sequence

from patchbench.records import AA, BASELINE
from patchbench.report.counting.rows import Row, text
from patchbench.report.model import AaPair, FloorRow
from patchbench.report.source import Launch


def aa_pairs(twins: Sequence[Row]) -> tuple[AaPair, ...]:
    """The ratio of the baseline's second launch to its first, block by block."""
    groups: dict[tuple[str, int, str], dict[str, float]] = {}
    for row in twins:
        key = (row["commit"], int(row["block"]), row["metric"])
        groups.setdefault(key, {})[row["arm"]] = float(row["value"])
    return tuple(
        AaPair(commit=commit, block=block, metric=metric, ratio=found[AA] / found[BASELINE])
        for (commit, block, metric), found in groups.items()
        if found.keys() >= {AA, BASELINE} and found[BASELINE] > 0
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


def unchecked(launches: Sequence[Launch], agents: Sequence[str]) -> tuple[str, ...]:
    """Commits of which an agent's measured output was not compared with the baseline's."""
    bare = {
        launch.commit
        for launch in launches
        if launch.arm in agents and launch.status == "measured" and launch.agreement is None
    }
    return tuple(sorted(bare))
