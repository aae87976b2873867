"""Check the tasks and patches of a campaign in scratch space; nothing is written to results."""

from __future__ import annotations

import atexit
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from patchbench.errors import BadInput, InfraFault
from patchbench.patches.repository import ensure_repository
from patchbench.patches.sources import Patches, fetch
from patchbench.patches.validate import validate
from patchbench.plan.campaign import Campaign
from patchbench.plan.resolve import resolve_from
from patchbench.records import Task, WhyMissing
from patchbench.subject import Source, Subject
from patchbench.system.files import temporary_prefix
from patchbench.system.source_folder import SOURCE, find, own

WORKERS = min(8, os.cpu_count() or 1)


class TaskState(NamedTuple):
    """One task as known before anything is built; ``repo`` is None without a clone."""

    task: Task
    repo: Path | None


class PatchState(NamedTuple):
    """One agent's patch for one task: the cause of its failure, or None if none was found.
    ``checked`` is False if there was no clone to check it against; ``missing`` says why there is
    none, ``conflicts`` is the number of other patches of the same agent for the task."""

    commit: str
    agent: str
    cause: str | None
    checked: bool
    missing: WhyMissing | None = None
    conflicts: int = 0


def task_states(campaign: Campaign) -> list[TaskState]:
    """Return every task with its parent, workload or exclusion; parents and their facts come from
    git if the subject has a clone here."""
    subjects = {task.subject.name: task.subject for task in campaign.tasks.values()}
    clones = {name: clone(of.source) or made(of) for name, of in subjects.items()}
    work = [(task, clones[task.subject.name]) for task in campaign.tasks.values()]
    if not any(clones.values()):
        return [_task_state(*of) for of in work]
    return _in_parallel(_task_state, work)


def _task_state(task: Task, repo: Path | None) -> TaskState:
    return TaskState(resolve_from(task, repo), repo)


def clone(source: Source) -> Path | None:
    """Return a subject's repository: its own, or the clone that its prepare command copies."""
    for place in (Path(source.repo), *clone_places(source)):
        for folder in (place, place / ".git"):
            if (folder / "HEAD").is_file():
                return folder
    return None


def made(subject: Subject) -> Path | None:
    """Return a repository of a subject that a script makes without any clone, in a folder that goes
    with this process; None for others, and if the script fails, which a run will tell."""
    source = subject.source
    if source.prepare[:1] != ("{python}",) or clone_places(source):
        return None
    folder = tempfile.mkdtemp(prefix=temporary_prefix())
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    scratch = Source(repo=str(Path(folder) / "repo.git"), prepare=source.prepare)
    os.environ.setdefault(SOURCE, own())  # where the script is looked up, as in a run
    with suppress(BadInput, InfraFault):
        return ensure_repository(msgspec.structs.replace(subject, source=scratch), sys.executable)
    return None


def clone_places(source: Source) -> list[Path]:
    """Return the places that the prepare command of a subject reads: there people put a clone."""
    words = [word for word in source.prepare[1:] if "/" in word and not word.startswith(("-", "{"))]
    return [Path(word) for word in words if not Path(find(word, own())).is_file()]


def patch_states(campaign: Campaign, states: list[TaskState]) -> list[PatchState]:
    """Fetch and validate every agent's patch of every task that can be run, on all cores."""
    work = [
        (state, agent, campaign.patch_sources(agent))
        for state in states
        if state.task.exclusion is None
        for agent in campaign.agents
    ]
    return _in_parallel(_patch_state, work)


def _in_parallel(function: Callable[..., Any], work: Iterable[tuple[Any, ...]]) -> list[Any]:
    """Return the function's results in order, computed on all cores."""
    arguments = list(work)
    if not arguments:
        return []
    with ProcessPoolExecutor(max_workers=WORKERS) as pool:
        return list(pool.map(function, *zip(*arguments, strict=True), chunksize=8))


def _patch_state(state: TaskState, agent: str, sources: Patches) -> PatchState:
    fetched, data = fetch(state.task, agent, sources, state.repo)
    commit, others = state.task.commit, len(fetched.conflicts)
    if fetched.cause or state.repo is None or state.task.parent is None:
        missing, checked = fetched.why_missing, bool(fetched.cause)
        return PatchState(commit, agent, fetched.cause, checked, missing, others)
    record, _ = validate(state.task, agent, data, state.repo)
    return PatchState(commit, agent, record.cause, True, conflicts=others)
