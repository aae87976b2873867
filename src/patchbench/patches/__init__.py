"""Patches: where they come from, how transport is mended, what is checked before any GPU time."""

from __future__ import annotations

from typing import TypeVar

from patchbench.records import Evidence, Outcome, Task

T = TypeVar("T", bound=Outcome)


def passed_on(upstream: Outcome, type_: type[T]) -> T:
    """A later stage's record for an arm that failed before: cause and stage stay as they were."""
    fields = {name: getattr(upstream, name) for name in Outcome.__struct_fields__}
    return type_(**fields)


def excluded(task: Task, arm: str, type_: type[T]) -> T:
    """Any stage's record for an arm of a task that can't be run."""
    assert task.exclusion is not None
    text = f"{task.exclusion.reason}: {task.exclusion.evidence}"
    return type_(
        stage="resolve_task",
        commit=task.commit,
        arm=arm,
        status="excluded",
        evidence=Evidence(text=text),
    )
