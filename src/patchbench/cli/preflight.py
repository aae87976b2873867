"""Check the tasks and patches of a campaign in scratch space; nothing is written to results."""

from __future__ import annotations

import os
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import NamedTuple

from patchbench.patches.sources import Patches, fetch
from patchbench.patches.validate import validate
from patchbench.plan.campaign import Campaign
from patchbench.plan.resolve import resolve_from
from patchbench.records import Task


class TaskState(NamedTuple):
    """One task as known before anything is built; ``repo`` is None without a clone."""

    task: Task
    repo: Path | None


class PatchState(NamedTuple):
    """One agent's patch for one task: the cause of its failure, or None if none was found.
    ``checked`` is False if there was no clone to check it against."""

    commit: str
    agent: str
    cause: str | None
    checked: bool


def task_states(campaign: Campaign) -> list[TaskState]:
    """Return every task with its parent, workload or exclusion; parents come from git if the
    subject has a clone here."""
    clones = {task.subject.name: _clone(task) for task in campaign.tasks.values()}
    return [
        TaskState(resolve_from(task, repo := clones[task.subject.name]), repo)
        for task in campaign.tasks.values()
    ]


def _clone(task: Task) -> Path | None:
    repo = Path(task.subject.source.repo)
    return repo if (repo / "HEAD").is_file() else None


def patch_states(campaign: Campaign, states: list[TaskState]) -> list[PatchState]:
    """Fetch and validate every agent's patch of every task that can be run, on all cores."""
    work = [
        (state, agent, campaign.patch_sources(agent))
        for state in states
        if state.task.exclusion is None
        for agent in campaign.agents
    ]
    if not work:
        return []
    with ProcessPoolExecutor(max_workers=min(8, os.cpu_count() or 1)) as pool:
        return list(pool.map(_patch_state, *zip(*work, strict=True), chunksize=8))


def _patch_state(state: TaskState, agent: str, sources: Patches) -> PatchState:
    fetched, data = fetch(state.task, agent, sources, state.repo)
    commit = state.task.commit
    if fetched.cause or state.repo is None or state.task.parent is None:
        return PatchState(commit, agent, fetched.cause, bool(fetched.cause))
    record, _ = validate(state.task, agent, data, state.repo)
    return PatchState(commit, agent, record.cause, True)
