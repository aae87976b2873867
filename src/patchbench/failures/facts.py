"""Facts: the failures of one commit, each once. The same cause with the same evidence in several
arms is one fact; if the baseline or the human's arm has it too, it is a fact of the commit."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Literal

from patchbench.failures.tracebacks import plain
from patchbench.records import AA, BASELINE, HUMAN, Evidence, GradedRun, Record

OWN_ARMS = (BASELINE, AA, HUMAN)

HEX = re.compile(r"\b0x[0-9a-f]+\b", re.IGNORECASE)
PATH = re.compile(r"(?:[\w.~-]*/)+([\w.-]*)")
NUMBER = re.compile(r"\d+(?:\.\d+)*")
SPACE = re.compile(r"\s+")


class Fact(Record, frozen=True, kw_only=True):
    """One kind of failure. ``level`` is "commit" if the baseline or the human's arm has it too;
    ``blames`` are those of the arms, without repeats, in their order."""

    level: Literal["commit", "arm"]
    cause: str
    arms: tuple[str, ...]
    blocks: tuple[int, ...]
    blames: tuple[str, ...]
    evidence: Evidence | None = None


def normalised(text: str) -> str:
    """Remove from evidence what differs from launch to launch: numbers, addresses, folders."""
    text = PATH.sub(r"\1", HEX.sub("0x", plain(text)))
    return SPACE.sub(" ", NUMBER.sub("N", text)).strip().lower()


def key(run: GradedRun) -> tuple[str, str]:
    """Return the key that is equal for launches that failed in the same way."""
    return run.cause or "", normalised(run.evidence.text) if run.evidence else ""


def facts(runs: Iterable[GradedRun]) -> tuple[Fact, ...]:
    """Return the failures of a commit's launches: those of the commit first, then by the number of
    arms, then in the order of the launches."""
    groups: dict[tuple[str, str], list[GradedRun]] = {}
    for run in runs:
        if run.status == "failed":
            groups.setdefault(key(run), []).append(run)
    found = [_fact(group) for group in groups.values()]
    return tuple(sorted(found, key=lambda fact: (fact.level != "commit", -len(fact.arms))))


def commit_facts(runs: Iterable[GradedRun]) -> tuple[Fact, ...]:
    """Return the facts of the commit: the baseline or the human's arm has them too."""
    return tuple(fact for fact in facts(runs) if fact.level == "commit")


def _fact(group: list[GradedRun]) -> Fact:
    arms = tuple(dict.fromkeys(run.arm for run in group))
    return Fact(
        level="commit" if any(arm in OWN_ARMS for arm in arms) else "arm",
        cause=group[0].cause or "unknown",
        arms=arms,
        blocks=tuple(sorted({run.block for run in group})),
        blames=tuple(dict.fromkeys(run.blame for run in group if run.blame)),
        evidence=group[0].evidence,
    )
