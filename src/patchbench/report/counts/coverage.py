"""Where patches came from, which never came, and which were mended before they were measured."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from patchbench.report.about import About
from patchbench.report.counts.rows import Row, by_arm, text
from patchbench.report.model import Coverage, Mended
from patchbench.verdicts.scores import MISSING


def coverage(about: About, patches: Sequence[Row]) -> tuple[Coverage, ...]:
    """Coverage of the planned tasks, per agent."""
    arms = by_arm(patches)
    return tuple(_of_agent(about, arm, arms.get(arm, [])) for arm in about.agents)


def _of_agent(about: About, arm: str, mine: list[Row]) -> Coverage:
    missing = [row for row in mine if row.get("cause") == MISSING]
    unknown = sum(row["status"] == "pending" for row in mine)
    there = [row for row in mine if row["status"] != "pending" and row.get("cause") != MISSING]
    refused = [
        row for row in there if row["status"] == "failed" and row.get("stage") == "validate_patch"
    ]
    return Coverage(
        arm=arm,
        title=about.title(arm),
        planned=len(mine),
        delivered=len(there),
        missing=len(missing),
        unknown=unknown,
        empty=sum(row.get("cause") == "patch.empty" for row in there),
        refused=len(refused),
        conflicts=sum(bool(row.get("conflict")) for row in there),
        sources=_counted(there, "source"),
        why_missing=_counted(missing, "why_missing"),
        missing_commits=tuple(row["commit"] for row in missing),
    )


def _counted(rows: Sequence[Row], column: str) -> dict[str, int]:
    return dict(Counter(str(row[column]) for row in rows if row.get(column)).most_common())


def mended(about: About, patches: Sequence[Row]) -> tuple[Mended, ...]:
    """Agents' patches of which something was cut, mended or flagged."""
    out = []
    for row in patches:
        stripped = text(row, "stripped")
        said = [
            text(row, "normalised"),
            text(row, "flags"),
            f"stripped {stripped}" if stripped else "",
            text(row, "warnings"),
        ]
        found = "; ".join(filter(None, said))
        if found and row["arm"] in about.agents:
            title = about.title(row["arm"])
            out.append(Mended(commit=row["commit"], arm=row["arm"], title=title, text=found))
    return tuple(out)
