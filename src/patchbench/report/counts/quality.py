"""Count the facts about the task list: parents, exclusions, contradictions, references that were
not reproduced."""

from __future__ import annotations

import pandas as pd

from patchbench.report.frames import most_common, records
from patchbench.report.model import Excluded, Quality, TaskNote


def quality(tasks: pd.DataFrame) -> Quality:
    """Return the quality of the list of tasks."""
    excluded = tasks[tasks["status"] == "excluded"].rename(
        columns={"exclusion": "reason", "exclusion_evidence": "evidence"}
    )
    noted = tasks[tasks["warnings"] != ""].rename(columns={"warnings": "text"})
    return Quality(
        parents=most_common(tasks["parent_origin"].str.split(": ").str[0]),
        reasons=most_common(excluded["reason"].str.split(":").str[0]),
        excluded=records(excluded, Excluded),
        notes=records(noted, TaskNote),
        not_reproduced=tuple(tasks.loc[tasks["reference"] == "not reproduced", "commit"]),
    )
