"""Cohorts: agents that share blocks.

A block pairs arms in time, so an agent can't join blocks that are measured already. Agents that
come later form a cohort of their own, with blocks of their own that hold the baseline and the
human's commit too; nothing of the earlier cohorts runs again. Membership is remembered beside the
results, also of agents that were taken out of the configuration: their blocks stay valid.
``joint: true`` puts all agents into one cohort, which measures them together anew.

A place of patches that is away for one run changes nothing: the fingerprints of the last run count
until it is back. An agent with a new name and the patches of one that is no longer named goes on
under the old name; the report shows the new one.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, NamedTuple

import msgspec
from msgspec import Meta

from patchbench.errors import BadInput
from patchbench.patches.sources import MISSING, UNREADABLE
from patchbench.records import Record
from patchbench.system.files import write_json

FILE = "cohorts.json"


class Member(Record, frozen=True, kw_only=True):
    """An agent's cohort, and the fingerprint of its patches when they were last read. ``away`` are
    places that could not be read then; ``called`` is a name that it was given later."""

    cohort: Annotated[int, Meta(ge=0)]
    fingerprints: dict[str, str]
    away: tuple[str, ...] = ()
    called: str = ""


class Reading(NamedTuple):
    """What a run finds of an agent's patches: fingerprints by commit, and places that are away."""

    fingerprints: dict[str, str]
    away: tuple[str, ...] = ()


def recall(results: Path) -> dict[str, Member]:
    """Return the members as of the last run, none before the first one. Raises BadInput."""
    path = results / FILE
    if not path.is_file():
        return {}
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, Member])
    except msgspec.MsgspecError as error:
        raise BadInput(
            f"{path}: {error} | next: delete it, which measures all agents together anew"
        ) from error


def assign(
    readings: Mapping[str, Reading], before: Mapping[str, Member], *, joint: bool
) -> dict[str, Member]:
    """Return the members of this run: known agents stay, all new ones share a new cohort, and those
    taken out of the configuration keep their place. What is away for now counts as it was read
    last."""
    new = 0 if joint else 1 + max((member.cohort for member in before.values()), default=-1)
    members = {} if joint else dict(before)
    for name, reading in readings.items():
        last = before.get(name)
        cohort = new if joint or last is None else last.cohort
        if last is None:
            last = Member(cohort=cohort, fingerprints={})
        members[name] = Member(
            cohort=cohort,
            fingerprints={**reading.fingerprints, **remembered(reading, last)},
            away=last.away if is_away(reading, last) else reading.away,
            called=last.called,
        )
    return members


def is_away(reading: Reading, last: Member) -> bool:
    """Return True if a place can't be read that could be when the patches were last read, and some
    of them are missed."""
    found = reading.fingerprints.items()
    missed = any(last.fingerprints.get(commit, mark) != mark for commit, mark in found)
    return missed and not set(reading.away) <= set(last.away)


def remembered(reading: Reading, last: Member) -> dict[str, str]:
    """Return the fingerprints that count in place of those that were read: of all patches if a
    place is away, else of those that the machine refuses to read."""
    away = is_away(reading, last)
    return {
        commit: last.fingerprints[commit]
        for commit, found in reading.fingerprints.items()
        if commit in last.fingerprints and (away or found == UNREADABLE)
    }


def renamed(readings: Mapping[str, Reading], before: Mapping[str, Member]) -> dict[str, str]:
    """Return the names that agents had in earlier runs, by their new names: an agent that is no
    longer named and had the very patches that a new one has."""
    found: dict[str, str] = {}
    for name, reading in readings.items():
        for old, member in before.items():
            same = member.called == name or _same_patches(reading.fingerprints, member.fingerprints)
            if name not in before and old not in readings and old not in found.values() and same:
                found[name] = old
                break
    return found


def _same_patches(now: dict[str, str], then: dict[str, str]) -> bool:
    common = now.keys() & then.keys()
    has_patch = any(now[commit] not in (MISSING, UNREADABLE) for commit in common)
    return has_patch and all(now[commit] == then[commit] for commit in common)


def remember(results: Path, members: dict[str, Member]) -> None:
    """Write the members to the results when a run starts."""
    write_json(results / FILE, members)
