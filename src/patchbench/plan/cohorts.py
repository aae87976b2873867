"""Cohorts: which agents share blocks.

A block pairs arms in time, so an agent can't join blocks that are measured already. Agents that
come later form a cohort of their own, with blocks of their own that hold the baseline and the
human's commit too; nothing of the earlier cohorts runs again. Membership is remembered beside the
results, also of agents that were taken out of the configuration: their blocks stay valid.
``joint: true`` puts all agents into one cohort, which measures them together anew.

Cohort k (from 0) has the blocks 100 k + 1, 100 k + 2, ...: a number says which cohort it is of.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from patchbench.errors import BadInput
from patchbench.records import Record
from patchbench.system.files import write_json

FILE = "cohorts.json"
STRIDE = 100


class Member(Record, frozen=True, kw_only=True):
    """An agent's cohort, and what its patches were made from when it was last planned."""

    cohort: int
    fingerprints: dict[str, str]


def recall(results: Path) -> dict[str, Member]:
    """Members as of the last run; nobody before the first one. Raises BadInput."""
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
    """Members of this run: who is known stays where it is, all new agents share a new cohort, and
    who was taken out keeps its place."""
    if joint:
        before = {}
    new = 1 + max((member.cohort for member in before.values()), default=-1)
    members = dict(before)
    for name, made_from in fingerprints.items():
        cohort = before[name].cohort if name in before else new
        members[name] = Member(cohort=cohort, fingerprints=made_from)
    return members


def remember(results: Path, members: dict[str, Member]) -> None:
    """Write down who is in which cohort, when a run starts."""
    write_json(results / FILE, members)


def block_numbers(cohort: int, blocks: int) -> range:
    """Numbers of a cohort's blocks."""
    return range(cohort * STRIDE + 1, cohort * STRIDE + blocks + 1)


def decided_by(block: int, first: int) -> range:
    """Blocks from which it follows whether a block beyond the ``first`` ones of its cohort is
    wanted: those first ones. Empty for a block that always runs."""
    if place_in_cohort(block) <= first:
        return range(0)
    return block_numbers(cohort_of(block), first)


def cohort_of(block: int) -> int:
    """The cohort that a block belongs to."""
    return (block - 1) // STRIDE


def place_in_cohort(block: int) -> int:
    """A block's number within its cohort, from 1."""
    return (block - 1) % STRIDE + 1
