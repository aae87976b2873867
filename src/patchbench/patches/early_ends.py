"""Records of arms that ended before a stage: by a failure of an earlier stage, or by exclusion."""

from __future__ import annotations

from typing import TypeVar

from patchbench.records import Evidence, Outcome, Task

T = TypeVar("T", bound=Outcome)


def earlier_failure(upstream: Outcome, type_: type[T]) -> T:
    """Return a later stage's record for an arm that failed before: same cause, same stage."""
    fields = {name: getattr(upstream, name) for name in Outcome.__struct_fields__}
    return type_(**fields)


def exclusion(task: Task, arm: str, type_: type[T]) -> T:
    """Return a stage's record for an arm of an excluded task."""
    assert task.exclusion is not None
    text = f"{task.exclusion.reason}: {task.exclusion.evidence}"
    return type_(
        stage="resolve_task",
        commit=task.commit,
        arm=arm,
        status="excluded",
        evidence=Evidence(text=text),
    )
