"""The quality of the task list: parents, exclusions, contradictions, references that don't hold."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from patchbench.report.counts.rows import Row, text
from patchbench.report.model import Excluded, Quality, TaskNote


def quality(tasks: Sequence[Row]) -> Quality:
    """What is to be said of the list itself."""
    excluded = [task for task in tasks if task["status"] == "excluded"]
    origins = (text(task, "parent_origin").partition(": ")[0] for task in tasks)
    reasons = (text(task, "exclusion").partition(":")[0] for task in excluded)
    return Quality(
        parents=dict(Counter(filter(None, origins)).most_common()),
        reasons=dict(Counter(reasons).most_common()),
        excluded=tuple(
            Excluded(
                commit=task["commit"],
                title=text(task, "title"),
                reason=text(task, "exclusion"),
                evidence=text(task, "exclusion_evidence"),
            )
            for task in excluded
        ),
        notes=tuple(
            TaskNote(commit=task["commit"], text=text(task, "warnings"))
            for task in tasks
            if task.get("warnings")
        ),
        not_reproduced=tuple(t["commit"] for t in tasks if t.get("reference") == "not reproduced"),
    )
