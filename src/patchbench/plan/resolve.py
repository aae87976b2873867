"""The stage resolve_task: a planned task gets its parent, checked against git."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import NamedTuple

import msgspec

from patchbench.load import DataSet
from patchbench.patches import git
from patchbench.patches.repository import ensure_repository
from patchbench.plan.facts.task import with_facts
from patchbench.records import Exclusion, Task


def resolve(task: Task) -> Task:
    """Return the task with its parent, or with the reason why it can't be run. The subject's
    repository is made only for a task that isn't excluded."""
    repo = Path(task.subject.source.repo)
    if task.exclusion is None:
        repo = ensure_repository(task.subject, sys.executable, commit=task.commit)
    return resolve_from(task, repo if (repo / "HEAD").is_file() else None)


def resolve_from(task: Task, repo: Path | None) -> Task:
    """Return the same from the lists, and with the parent's facts from the repository if there is
    one."""
    parent = find_parent(task, repo)
    exclusion = task.exclusion or parent.exclusion
    resolved = msgspec.structs.replace(
        task,
        parent=parent.commit,
        parent_origin=parent.origin,
        workload=None if exclusion else task.workload,
        workload_id=None if exclusion else task.workload_id,
        exclusion=exclusion,
        warnings=(*task.warnings, parent.warning) if parent.warning else task.warnings,
        contradictions=_open_notes(task, repo),
    )
    return with_data(with_facts(resolved, repo) if repo else resolved)


def with_data(task: Task) -> Task:
    """Return the task, or excluded if the data set of its load is not there."""
    prompts = task.workload.load.prompts if task.workload and task.workload.load else None
    if not isinstance(prompts, DataSet) or Path(prompts.path).is_file():
        return task
    get = next((d.get for d in task.data_sets.values() if d.file == prompts.path), "")
    why = f"no file {prompts.path}" + (f" | get it: {get}" if get else "")
    exclusion = Exclusion(reason="data_set_missing", evidence=why)
    return msgspec.structs.replace(task, exclusion=exclusion, workload=None, workload_id=None)


def _open_notes(task: Task, repo: Path | None) -> tuple[str, ...]:
    """Return what does not fit together in the lists, without what the repository settles: it
    knows the whole of a shortened hash."""
    short = [note for note in task.contradictions if note.startswith("short_commit: ")]
    if not short or repo is None or git.commit_id(repo, task.commit) is None:
        return task.contradictions
    return tuple(note for note in task.contradictions if note not in short)


class Parent(NamedTuple):
    """A task's parent commit and its origin, with an exclusion or a warning if git disagrees."""

    commit: str | None
    origin: str
    exclusion: Exclusion | None = None
    warning: str = ""


def find_parent(task: Task, repo: Path | None) -> Parent:
    """Return the parent of the lists, checked against git, or else git's own."""
    if repo is None:
        if task.parent:
            return Parent(task.parent, task.parent_origin)
        why = "no list gives a parent, and there is no repository to ask"
        return Parent(None, "none", Exclusion(reason="parent_unresolved", evidence=why))
    if git.commit_id(repo, task.commit) is None:
        why = f"{repo} has no commit {task.commit}"
        exclusion = Exclusion(reason="commit_unknown", evidence=why)
        return Parent(task.parent, task.parent_origin if task.parent else "none", exclusion)
    from_git = git.commit_id(repo, f"{task.commit}^")
    if task.parent is None:
        if from_git:
            return Parent(from_git, "git rev-parse COMMIT^")
        why = f"{task.commit} has no parent in {repo}"
        return Parent(None, "none", Exclusion(reason="parent_unresolved", evidence=why))
    full = git.commit_id(repo, task.parent)
    if full is None:
        exclusion = Exclusion(reason="parent_unknown", evidence=f"{repo} has no {task.parent}")
        return Parent(task.parent, task.parent_origin, exclusion)
    warning = "" if full == from_git else f"parent: {full[:8]}, but git says {str(from_git)[:8]}"
    return Parent(full, task.parent_origin, warning=warning)
