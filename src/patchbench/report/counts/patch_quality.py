"""Count the changes of patches: size, tests, and likeness to the human's patch and to the
prompt."""

from __future__ import annotations

import pandas as pd

from patchbench.records import HUMAN
from patchbench.report.about import About
from patchbench.report.frames import records
from patchbench.report.model import Diff, PatchQuality

BROKEN = ("patch.syntax", "patch.import")


def diffs(patches: pd.DataFrame) -> dict[tuple[str, str], Diff]:
    """Return the changes of each patch by commit and arm, without patches that were not validated
    or that change nothing."""
    known = patches[patches["files"] > 0]
    keys = zip(known["commit"], known["arm"], strict=True)
    return dict(zip(keys, records(known, Diff), strict=True))


def patch_quality(
    about: About, patches: pd.DataFrame, outcomes: pd.DataFrame
) -> tuple[PatchQuality, ...]:
    """Return a row per arm that has a validated patch, the human's first."""
    known = patches[patches["files"] > 0]
    broken = outcomes.loc[outcomes["cause"].isin(BROKEN), "arm"].value_counts()
    rows = [
        {
            "arm": arm,
            "title": "Human" if arm == HUMAN else about.title(arm),
            "patches": len(diffs_of_arm),
            "files": diffs_of_arm["files"].median(),
            "lines": (diffs_of_arm["lines_added"] + diffs_of_arm["lines_removed"]).median(),
            "tests_touched": int(diffs_of_arm["tests_touched"].sum()),
            "broken": int(broken.get(arm, 0)),
            "similarity": diffs_of_arm["similarity"].median(),
            "most_similar": diffs_of_arm["similarity"].max(),
            "prompt_overlap": diffs_of_arm["prompt_overlap"].median(),
        }
        for arm in (HUMAN, *about.agents)
        if len(diffs_of_arm := known[known["arm"] == arm])
    ]
    return records(pd.DataFrame(rows, columns=list(PatchQuality.__struct_fields__)), PatchQuality)
