"""Warnings about a campaign that can be run all the same: what was found does not fit together."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from patchbench.config import Protocol, VerdictRules
from patchbench.patches.sources import UNREADABLE, problems, strays
from patchbench.plan import cohorts
from patchbench.plan.cohorts import Member, Reading
from patchbench.plan.configuration import Agent

FEW = 5  # up to so many files are named


def no_verdict(origin: str, protocol: Protocol, rules: VerdictRules) -> Iterator[str]:
    """Yield a warning if too few blocks are planned for any verdict."""
    if protocol.last_block < rules.min_blocks:
        yield (
            f"{origin}: protocol.blocks: {protocol.last_block} planned, but no verdict is given on "
            f"fewer than {rules.min_blocks} (statistics.min_blocks): nothing can turn out faster"
        )


def nothing_to_do(origin: str, excluded: Mapping[str, str]) -> Iterator[str]:
    """Yield a warning if all tasks are excluded. ``excluded`` are the reasons by commit, an empty
    text for a task that can be run."""
    if all(excluded.values()):
        reasons = ", ".join(sorted(set(excluded.values())))
        yield f"{origin}: nothing can be measured: all {len(excluded)} tasks are out ({reasons})"


def renamed(origin: str, old_names: Mapping[str, str]) -> Iterator[str]:
    """Yield a warning for each agent with the patches of another that is no longer named."""
    for name, old in old_names.items():
        yield (
            f"{origin}: agents.{name}: has the patches of {old}, which is no longer named: it goes "
            f"on under that name in records and folders"
        )


def of_places(
    origin: str,
    agents: Mapping[str, Agent],
    readings: Mapping[str, Reading],
    before: Mapping[str, Member],
) -> Iterator[str]:
    """Yield a warning for each place that gives no patch, and for patches that can't be read."""
    for name, agent in agents.items():
        last = before.get(name)
        kept = cohorts.remembered(readings[name], last) if last else {}
        effect = f"; of {len(kept)} task(s) what was read last counts until that is mended"
        for problem in problems(agent.patches):
            reason = problem.rpartition(", so ")[0] if kept else problem
            yield f"{origin}: agents.{name}.patches: {reason}{effect if kept else ''}"
        if unread := [c for c, f in readings[name].fingerprints.items() if f == UNREADABLE]:
            yield (
                f"{origin}: agents.{name}.patches: the machine refuses to read {len(unread)} of "
                f"them{effect if kept else ''}"
            )


def of_strays(origin: str, agents: Mapping[str, Agent], listed: Collection[str]) -> Iterator[str]:
    """Yield a warning for each agent whose folder has files that belong to no listed task."""
    for name, agent in agents.items():
        if found := strays(agent.patches, listed):
            more = f" and {len(found) - FEW} more" if len(found) > FEW else ""
            files = "1 file matches" if len(found) == 1 else f"{len(found)} files match"
            yield (
                f"{origin}: agents.{name}.patches: {files} no task: {', '.join(found[:FEW])}{more}"
            )
