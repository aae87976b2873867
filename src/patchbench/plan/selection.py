"""The choice of a campaign's tasks: those that ``only`` names, and of them those that any agent has
a patch for."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Mapping, Sequence

import msgspec

from patchbench.errors import BadInput
from patchbench.patches.sources import MISSING
from patchbench.plan.cohorts import Member
from patchbench.plan.lists import MergedTask
from patchbench.records import Exclusion, Task

NO_PATCH = "no_patch"
SHORT = 8  # characters of a commit in messages


def nearest(commit: str, known: Iterable[str]) -> str:
    """Return the known commit that resembles a text most, in short, or an empty text."""
    wanted = commit[:SHORT]
    near = difflib.get_close_matches(wanted, [k[:SHORT] for k in known], n=1, cutoff=0.7)
    return near[0] if near else ""


def chosen(tasks: Sequence[MergedTask], only: Sequence[str], origin: str) -> list[MergedTask]:
    """Return the tasks whose commits ``only`` names by their beginnings, in the lists' order; all
    if it is empty. Raises BadInput for a name of no task, or of several."""
    named: set[str] = set()
    for index, beginning in enumerate(only):
        hits = [task.commit for task in tasks if task.commit.startswith(beginning)]
        if len(hits) != 1:
            near = nearest(beginning, (task.commit for task in tasks))
            hint = f"; did you mean {near}?" if near and not hits else ""
            found = f"the beginning of {len(hits)} commits" if hits else "no commit of the lists"
            raise BadInput(f"{origin}: only.{index}: {beginning!r} is {found}{hint}")
        named.add(hits[0])
    return [task for task in tasks if not only or task.commit in named]


def has_patch(commit: str, agents: Collection[str], members: Mapping[str, Member]) -> bool:
    """Return True if one of the agents has a patch for a commit, as far as its place tells."""
    return any(members[name].fingerprints.get(commit, MISSING) != MISSING for name in agents)


def without_patch(task: Task, agents: int) -> Task:
    """Return a task that no agent has a patch for, excluded unless it is already."""
    if task.exclusion is not None:
        return task
    who = "the agent has no" if agents == 1 else f"none of the {agents} agents has a"
    exclusion = Exclusion(reason=NO_PATCH, evidence=f"{who} patch for it")
    return msgspec.structs.replace(task, exclusion=exclusion, workload=None, workload_id=None)
