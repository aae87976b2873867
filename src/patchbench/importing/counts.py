"""A table of counts as a campaign: a CSV with the columns agent, commit, status, cause, type, and,
if wanted, count and source.

A row is one patch's end. Without a commit it stands for ``count`` patches that the table does not
name. Rows whose status is ``total``, ``total measured``, ``total failed`` or ``total missing`` are
what somebody printed: they must agree with the sum of the others, and nothing is made of them.
Rows with the status ``patches`` say from which source so many patches came, where rows don't.
Statuses and causes may be in our words or in those of ISO-Bench's reports.

Such a table says what happened and not why. An agent is charged only for what a patch shows by
itself (it is empty, it does not apply); what a launch showed is charged to nobody.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from patchbench.errors import BadInput
from patchbench.importing import count_rows
from patchbench.importing.count_rows import SOURCES, STATUSES, TOTALS, Row
from patchbench.importing.ended import Found, Listed, arm_of
from patchbench.records import Evidence

SHORT = 8  # characters of a commit that tell it apart


class Counted(NamedTuple):
    """What a table of counts gives: titles by arm, tasks, and every patch's end."""

    agents: dict[str, str]
    listed: list[Listed]
    found: list[Found]


def read(path: Path) -> Counted:
    """Read and check a table. Raises BadInput that names the line, or the numbers or commits that
    contradict each other."""
    rows = list(count_rows.read(path))
    ends = [row for row in rows if row.status in STATUSES.values()]
    if not ends:
        raise BadInput(f"{path}: no row says how a patch ended")
    agents = {arm_of(row.agent): row.agent for row in ends}
    contradictions(path, ends)
    totals(path, rows)
    sums = {agent: _sum(ends, agent) for agent in agents.values()}
    if len(set(sums.values())) > 1:
        said = ", ".join(f"{agent} {count}" for agent, count in sums.items())
        raise BadInput(
            f"{path}: agents have different numbers of tasks: {said} | next: every agent needs a "
            "row for each task; a task without a patch has the status missing"
        )
    named = names(row.commit for row in ends if row.commit)
    listed = _listed(path, named, next(iter(sums.values())))
    found = [
        end
        for arm, agent in agents.items()
        for end in _sourced(path, agent, rows, list(_ends(path, arm, agent, ends, named)))
    ]
    return Counted(agents, listed, found)


def names(commits: Iterable[str]) -> dict[str, str]:
    """The longest name of each commit, by its first eight characters."""
    out: dict[str, str] = {}
    for commit in commits:
        key = commit[:SHORT]
        out[key] = max(out.get(key, ""), commit, key=len)
    return out


def contradictions(path: Path, rows: Sequence[Row]) -> None:
    """Raise BadInput for commits that one agent has twice, with their names."""
    ended: dict[tuple[str, str], list[str]] = defaultdict(list)
    for row in rows:
        if row.commit:
            ended[row.agent, row.commit[:SHORT]].append(row.status)
    twice: dict[tuple[str, tuple[str, ...]], list[str]] = defaultdict(list)
    for (agent, commit), statuses in ended.items():
        if len(statuses) > 1:
            twice[agent, tuple(sorted(set(statuses)))].append(commit)
    faults = []
    for (agent, kinds), commits in twice.items():
        named = ", ".join(commits)
        if len(kinds) > 1:
            words = " and ".join(f"'{_word(kind)}'" for kind in kinds)
            faults.append(f"{agent}: {len(commits)} commits are both {words}: {named}")
        else:
            faults.append(f"{agent}: stand twice: {named}")
    if faults:
        raise BadInput(
            f"{path}: {'; '.join(faults)} | next: a patch has one end: correct the table"
        )


def _word(status: str) -> str:
    return {"missing": "no patch", "measured": "success"}.get(status, status)


def totals(path: Path, rows: Iterable[Row]) -> None:
    """Raise BadInput where a printed total is not the sum of what it is about."""
    rows = list(rows)
    for row in rows:
        if row.status in TOTALS:
            ends = [end for end in rows if end.status in TOTALS[row.status]]
            kinds = [end for end in ends if not row.type or end.type == row.type]
            total = _sum(kinds, row.agent)
            if total != row.times:
                of = f" of type {row.type}" if row.type else ""
                raise BadInput(
                    f"{path}: line {row.line}: {row.agent}: {row.status}{of} is given as "
                    f"{row.times}, but the rows sum to {total}"
                )


def _sum(rows: Iterable[Row], agent: str) -> int:
    return sum(row.times for row in rows if row.agent == agent)


def _listed(path: Path, named: Mapping[str, str], total: int) -> list[Listed]:
    """Tasks: those that are named, and as many more as there are."""
    if len(named) > total:
        raise BadInput(f"{path}: {len(named)} commits are named, but there are {total} tasks")
    return [
        *(Listed(commit=commit) for commit in named.values()),
        *(Listed(commit=f"task {n}") for n in range(1, total - len(named) + 1)),
    ]


def _sourced(path: Path, agent: str, rows: Iterable[Row], found: list[Found]) -> list[Found]:
    """An agent's patches, those without a commit and a source with the sources that rows give for
    them all: which is whose is not known, and nothing asks for it."""
    given = [row for row in rows if row.status == SOURCES and row.agent == agent]
    if not given:
        return found
    sources = [row.source or "?" for row in given for _ in range(row.times)]
    open_ = [
        place
        for place, end in enumerate(found)
        if end.status in ("measured", "failed") and not end.source and " " in end.commit
    ]
    if len(sources) != len(open_):
        raise BadInput(
            f"{path}: {agent}: sources are given for {len(sources)} patches, but the rows have "
            f"{len(open_)} without a commit and a source"
        )
    for place, source in zip(open_, sources, strict=True):
        found[place] = msgspec.structs.replace(found[place], source=source)
    return found


def _ends(
    path: Path, arm: str, agent: str, rows: Iterable[Row], named: Mapping[str, str]
) -> Iterator[Found]:
    """Every patch of one agent. Those without a commit get names of their own, so that no two
    agents seem to meet on one of them."""
    number = 0
    for row in rows:
        if row.agent != agent:
            continue
        said = row.said or f"{row.times} failed"
        where = Evidence(text=said, file=str(path), line=row.line)
        for _ in range(row.times):
            number += not row.commit
            yield Found(
                commit=named[row.commit[:SHORT]] if row.commit else f"{arm} {number}",
                arm=arm,
                status=row.status,  # type: ignore[arg-type]
                type=row.type,
                cause=row.cause,
                evidence=where if row.status == "failed" else None,
                source=row.source,
            )
