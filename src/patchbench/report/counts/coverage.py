"""Count the sources of patches, the missing ones, and those changed before measuring."""

from __future__ import annotations

import pandas as pd

from patchbench.records import Record
from patchbench.report.about import About
from patchbench.report.frames import most_common, records
from patchbench.report.model import Coverage, Mended
from patchbench.verdicts.scores import MISSING


def coverage(about: About, patches: pd.DataFrame) -> tuple[Coverage, ...]:
    """Return the coverage of the planned tasks, per agent."""
    return tuple(_coverage(about, arm, patches[patches["arm"] == arm]) for arm in about.agents)


def _coverage(about: About, arm: str, outcomes: pd.DataFrame) -> Coverage:
    missing = outcomes[outcomes["cause"] == MISSING]
    there = outcomes[(outcomes["status"] != "pending") & (outcomes["cause"] != MISSING)]
    refusals = (there["status"] == "failed") & (there["stage"] == "validate_patch")
    return Coverage(
        arm=arm,
        title=about.title(arm),
        planned=len(outcomes),
        delivered=len(there),
        missing=len(missing),
        unknown=int((outcomes["status"] == "pending").sum()),
        empty=int((there["cause"] == "patch.empty").sum()),
        refused=int(refusals.sum()),
        conflicts=int(there["conflict"].sum()),
        sources=most_common(there["source"]),
        why_missing=most_common(missing["why_missing"]),
        missing_commits=tuple(missing["commit"]),
    )


class _Change(Record, frozen=True, kw_only=True):
    """The result of validating one patch, as the table of patches has it."""

    commit: str
    arm: str
    normalised: str
    flags: str
    stripped: str
    warnings: str

    @property
    def text(self) -> str:
        stripped = f"stripped {self.stripped}" if self.stripped else ""
        return "; ".join(filter(None, (self.normalised, self.flags, stripped, self.warnings)))


def mended(about: About, patches: pd.DataFrame) -> tuple[Mended, ...]:
    """Return agents' patches of which something was cut, changed or flagged."""
    changes = records(patches[patches["arm"].isin(list(about.agents))], _Change)
    return tuple(
        Mended(commit=row.commit, arm=row.arm, title=about.title(row.arm), text=row.text)
        for row in changes
        if row.text
    )
