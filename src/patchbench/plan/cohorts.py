"""Cohorts: agents that share blocks.

A block pairs arms in time, so an agent can't join blocks that are measured already. Agents that
come later form a cohort of their own, with blocks of their own that hold the baseline and the
human's commit too; nothing of the earlier cohorts runs again. Membership is remembered beside the
results, also of agents that were taken out of the configuration: their blocks stay valid.
``joint: true`` puts all agents into one cohort, which measures them together anew.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from patchbench.errors import BadInput
from patchbench.records import Record
from patchbench.system.files import write_json

FILE = "cohorts.json"


class Member(Record, frozen=True, kw_only=True):
    """An agent's cohort, and the fingerprint of its patches when it was last planned."""

    cohort: Annotated[int, Meta(ge=0)]
    fingerprints: dict[str, str]


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
    fingerprints: dict[str, dict[str, str]], before: dict[str, Member], *, joint: bool
) -> dict[str, Member]:
    """Return the members of this run: known agents stay, all new ones share a new cohort, and those
    taken out of the configuration keep their place."""
    if joint:
        before = {}
    new = 1 + max((member.cohort for member in before.values()), default=-1)
    members = dict(before)
    for name, fingerprint in fingerprints.items():
        cohort = before[name].cohort if name in before else new
        members[name] = Member(cohort=cohort, fingerprints=fingerprint)
    return members


def remember(results: Path, members: dict[str, Member]) -> None:
    """Write the members to the results when a run starts."""
    write_json(results / FILE, members)
