"""The doctor: what a campaign would run, exclude, miss and refuse, before anything is built.

Reads the lists, asks the repository for parents if there is one, fetches and validates every patch
in scratch space, and writes nothing.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import NamedTuple

from patchbench.patches.sources import fetch
from patchbench.patches.validate import validate
from patchbench.plan.campaign import Campaign
from patchbench.plan.exclusions import ADVICE
from patchbench.plan.resolve import resolve_from
from patchbench.plan.task_spec import TaskSpec
from patchbench.records import Task


class TaskState(NamedTuple):
    """One task as far as it is known without building anything."""

    spec: TaskSpec
    task: Task
    repo: Path | None


class PatchState(NamedTuple):
    """One agent's patch for one task: its cause, or None if it can be measured; ``checked`` says
    whether it could be validated at all."""

    commit: str
    agent: str
    cause: str | None
    text: str
    checked: bool


def task_states(campaign: Campaign) -> list[TaskState]:
    """Every task with its parent, workload or exclusion; git is asked where a clone is at hand."""
    repos = {spec.subject.name: _repository(spec) for spec in campaign.tasks.values()}
    states = []
    for spec in campaign.tasks.values():
        repo = repos[spec.subject.name]
        states.append(TaskState(spec, resolve_from(spec, repo), repo))
    return states


def _repository(spec: TaskSpec) -> Path | None:
    repo = Path(spec.subject.source.repo)
    return repo if (repo / "HEAD").is_file() else None


def _check(state: TaskState, agent: str, sources: object) -> PatchState:
    fetched, data = fetch(state.task, agent, sources, state.repo)  # type: ignore[arg-type]
    commit = state.task.commit
    evidence = fetched.evidence.text if fetched.evidence else ""
    if fetched.cause or state.repo is None or state.task.parent is None:
        return PatchState(commit, agent, fetched.cause, evidence, bool(fetched.cause))
    record, _ = validate(state.task, agent, data, state.repo)
    text = record.evidence.text if record.evidence else ""
    return PatchState(commit, agent, record.cause, text, True)


def patch_states(campaign: Campaign, states: list[TaskState]) -> list[PatchState]:
    """Every agent's patch of every task that can be run, checked on all cores."""
    work = [
        (state, agent, campaign.patch_sources(agent))
        for state in states
        if state.task.exclusion is None
        for agent in campaign.agents
    ]
    if not work:
        return []
    with ProcessPoolExecutor(max_workers=min(8, os.cpu_count() or 1)) as pool:
        return list(pool.map(_check, *zip(*work, strict=True), chunksize=8))


def lines(campaign: Campaign) -> Iterator[str]:
    """The doctor's page, line by line."""
    states = task_states(campaign)
    yield f"{campaign.name}: {len(states)} tasks, {len(campaign.agents)} agents"
    for warning in campaign.warnings:
        yield f"  warning: {warning}"
    missing = sorted({s.spec.subject.name for s in states if s.repo is None})
    for name in missing:
        repo = next(s.spec.subject.source.repo for s in states if s.spec.subject.name == name)
        yield (
            f"  no repository of {name} at {repo}: parents come from the lists alone, and patches "
            f"can't be checked; put a clone there (git clone --bare) to know more"
        )
    yield from _tasks(states)
    yield from _notes(states)
    yield from _patches(campaign, states)


def _tasks(states: list[TaskState]) -> Iterator[str]:
    runnable = [s for s in states if s.task.exclusion is None]
    yield f"\nTasks: {len(runnable)} can be run, {len(states) - len(runnable)} can't"
    types = Counter(s.task.workload.type for s in runnable if s.task.workload)
    yield "  " + ", ".join(f"{kind} {count}" for kind, count in types.most_common())
    reasons: dict[str, list[TaskState]] = {}
    for state in states:
        if state.task.exclusion:
            reasons.setdefault(state.task.exclusion.reason, []).append(state)
    for reason, found in sorted(reasons.items(), key=lambda item: (-len(item[1]), item[0])):
        short = " ".join(s.task.commit[:8] for s in found)
        yield f"  {reason:<22} {len(found):>3}  {short}"
        yield f"{'next: ':>32}{ADVICE[reason.partition(':')[0]]}"
    yield "\nParents:"
    origins: dict[str, list[TaskState]] = {}
    for state in states:
        origin = state.task.parent_origin.partition(": ")[0] if state.task.parent else "none"
        origins.setdefault(origin, []).append(state)
    for origin, found in sorted(origins.items(), key=lambda item: -len(item[1])):
        yield f"  {len(found):>3}  {origin}"
        few = [s for s in found if len(found) <= 8]
        for state in few:
            parent = state.task.parent or "unresolved: give it in the lists, or a clone to ask git"
            yield f"         {state.task.commit[:8]} <- {parent}"
    seconded: dict[str, list[str]] = {}
    for state in states:
        for kind, _, place in (a.partition(": ") for a in state.spec.agreements):
            if kind == "parent":
                text = f"{state.task.commit[:8]} <- {state.spec.parent}"
                seconded.setdefault(place.partition(": ")[0], []).append(text)
    for file, texts in seconded.items():
        yield f"  {file} says the same of {len(texts)} more" + (
            f": {', '.join(texts)}" if len(texts) <= 4 else ""
        )


def _notes(states: list[TaskState]) -> Iterator[str]:
    kinds: dict[str, list[str]] = {}
    for state in states:
        for note in (*state.task.contradictions, *state.task.warnings):
            kind, _, text = note.partition(": ")
            kinds.setdefault(kind, []).append(f"{state.task.commit[:8]} {text}")
    if kinds:
        yield "\nContradictions and oddities in the lists (the command is what runs):"
    for kind, texts in sorted(kinds.items()):
        yield f"  {kind} ({len(texts)})"
        for text in texts:
            yield f"    {text[:150]}"


def _patches(campaign: Campaign, states: list[TaskState]) -> Iterator[str]:
    found = patch_states(campaign, states)
    yield "\nPatches of the tasks that can be run:"
    for agent in campaign.agents:
        mine = [p for p in found if p.agent == agent]
        there = [p for p in mine if p.cause not in ("patch.missing", "patch.empty")]
        good = [p for p in there if p.cause is None and p.checked]
        unchecked = sum(p.cause is None and not p.checked for p in mine)
        causes = Counter(p.cause for p in mine if p.cause)
        parts = [f"{count} {cause}" for cause, count in causes.most_common()]
        if unchecked:
            parts.append(f"{unchecked} not checked (no repository)")
        yield f"  {agent:<16} {len(there):>3} of {len(mine)} there, {len(good)} can be measured" + (
            f"; {', '.join(parts)}" if parts else ""
        )
