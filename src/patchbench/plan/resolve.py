"""The resolve stage: one task of the list becomes a record that all later stages can rely on."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import NamedTuple

from patchbench.errors import BadInput
from patchbench.parsing.names import METRICS
from patchbench.patches import git
from patchbench.plan.task_spec import TaskSpec, primary_metric, workload_of
from patchbench.plan.workload import GUARDS
from patchbench.records import Exclusion, Task
from patchbench.system.files import digest


def resolve(spec: TaskSpec) -> Task:
    """Find the parent, render the workload, name the reason if the task can't be run. The subject's
    repository is made if it is needed: an excluded task does without.

    Raises BadInput for a metric that nobody knows.
    """
    repo = Path(spec.subject.source.repo)
    if workload_of(spec)[1] is None:
        repo = git.ensure_repository(spec.subject, sys.executable, commit=spec.commit)
    return resolve_from(spec, repo if (repo / "HEAD").is_file() else None)


def resolve_from(spec: TaskSpec, repo: Path | None) -> Task:
    """The same from what is at hand: the lists, and the repository if there is one."""
    workload, exclusion = workload_of(spec)
    parent = find_parent(spec, repo)
    exclusion = exclusion or parent.exclusion
    metric = primary_metric(spec)
    type_ = workload.type if workload else "serving"
    guards = GUARDS[type_] if spec.guard_metrics is None else spec.guard_metrics
    for name in (metric, *guards):
        if name not in METRICS or METRICS[name].direction == "check":
            raise BadInput(f"{spec.origin}: commit {spec.commit[:8]}: unknown metric {name!r}")
    return Task(
        commit=spec.commit,
        title=spec.title,
        subject=spec.subject,
        perf_command=spec.perf_command or "",
        primary_metric=metric,
        guard_metrics=guards,
        parent=parent.commit,
        parent_origin=parent.origin,
        workload=None if exclusion else workload,
        workload_id=None if exclusion else digest(workload),
        exclusion=exclusion,
        protocol=spec.protocol,
        runtime=spec.runtime,
        work=spec.work,
        recipe=spec.recipe,
        containers=spec.containers,
        disk=spec.disk,
        warnings=(parent.warning,) if parent.warning else (),
        contradictions=spec.contradictions,
    )


class Parent(NamedTuple):
    """A task's parent commit, where it was found, and what speaks against it."""

    commit: str | None
    origin: str
    exclusion: Exclusion | None = None
    warning: str = ""


def find_parent(spec: TaskSpec, repo: Path | None) -> Parent:
    """The parent as the lists have it, checked against git; else git's own."""
    if repo is None:
        if spec.parent:
            return Parent(spec.parent, spec.parent_origin)
        why = "no list gives a parent, and there is no repository to ask"
        return Parent(None, "none", Exclusion(reason="parent_unresolved", evidence=why))
    if git.commit_id(repo, spec.commit) is None:
        why = f"{repo} has no commit {spec.commit}"
        exclusion = Exclusion(reason="commit_unknown", evidence=why)
        return Parent(spec.parent, spec.parent_origin if spec.parent else "none", exclusion)
    from_git = git.commit_id(repo, f"{spec.commit}^")
    if spec.parent is None:
        if from_git:
            return Parent(from_git, "git rev-parse COMMIT^")
        why = f"{spec.commit} has no parent in {repo}"
        return Parent(None, "none", Exclusion(reason="parent_unresolved", evidence=why))
    full = git.commit_id(repo, spec.parent)
    if full is None:
        exclusion = Exclusion(reason="parent_unknown", evidence=f"{repo} has no {spec.parent}")
        return Parent(spec.parent, spec.parent_origin, exclusion)
    warning = "" if full == from_git else f"parent: {full[:8]}, but git says {str(from_git)[:8]}"
    return Parent(full, spec.parent_origin, warning=warning)
