"""The resolve stage: one task of the list becomes a record that all later stages can rely on."""

from __future__ import annotations

import sys

from patchbench import git
from patchbench.campaign import TaskSpec, primary_metric
from patchbench.errors import BadInput
from patchbench.files import digest
from patchbench.parsing.names import METRICS
from patchbench.records import Exclusion, Task
from patchbench.tasks import GUARDS, render


def resolve(spec: TaskSpec) -> Task:
    """Find the parent, render the workload, name the reason if the task can't be run.

    Raises BadInput for a metric that nobody knows.
    """
    subject = spec.subject
    workload, exclusion = render(spec.perf_command or "", subject, max_gpus=spec.max_gpus)
    metric = primary_metric(spec)
    type_ = workload.type if workload else "serving"
    guards = GUARDS[type_] if spec.guard_metrics is None else spec.guard_metrics
    for name in (metric, *guards):
        if name not in METRICS or METRICS[name].direction == "check":
            raise BadInput(f"{spec.origin}: commit {spec.commit[:8]}: unknown metric {name!r}")
    parent, origin, warnings = spec.parent, "task list", []
    # An excluded task needs no repository: its reason stands in the list.
    if exclusion is None:
        repo = git.ensure_repository(subject, sys.executable, commit=spec.commit)
        known = git.commit_id(repo, spec.commit)
        from_git = git.commit_id(repo, f"{spec.commit}^") if known else None
        if known is None:
            exclusion = Exclusion(
                reason="commit_unknown", evidence=f"{repo} has no commit {spec.commit}"
            )
        elif parent is None:
            parent, origin = from_git, "git rev-parse COMMIT^"
        elif git.commit_id(repo, parent) is None:
            exclusion = Exclusion(reason="parent_unknown", evidence=f"{repo} has no {parent}")
        elif parent != from_git:
            warnings.append(f"the list's parent {parent[:8]} is not git's {str(from_git)[:8]}")
        if exclusion is None and parent is None:
            exclusion = Exclusion(
                reason="parent_unresolved", evidence=f"{spec.commit} has no parent in {repo}"
            )
    return Task(
        commit=spec.commit,
        title=spec.title,
        subject=subject,
        perf_command=spec.perf_command or "",
        primary_metric=metric,
        guard_metrics=guards,
        parent=parent,
        parent_origin=origin if parent else "none",
        workload=None if exclusion else workload,
        workload_id=None if exclusion else digest(workload),
        exclusion=exclusion,
        protocol=spec.protocol,
        runtime=spec.runtime,
        work=spec.work,
        warnings=tuple(warnings),
    )
