"""The campaign: what is planned, read from a person's files and checked before anything runs.

Pure functions of the configuration and the files that it names; nothing is written here.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from patchbench.blocks import block_numbers
from patchbench.config import Containers, DiskRules, Protocol, VerdictRules
from patchbench.errors import BadInput
from patchbench.patches.sources import PatchPlace, PatchQuery, fingerprint, problems
from patchbench.plan import cohorts, config_schema
from patchbench.plan.cohorts import Member
from patchbench.plan.task_spec import TaskSpec, merged_lists, plan_task, workload_of
from patchbench.records import AA_PAIR, BASELINE, HUMAN, Record
from patchbench.system.files import digest

# Bump when a change of ours makes older raw files incomparable with new ones.
PROTOCOL_VERSION = 1

# Fields of a task that change what is said about a run, or how many there are, but no run itself.
NOT_MEASURED = (
    "title",
    "origin",
    "primary_metric",
    "guard_metrics",
    "protocol",
    "max_gpus",
    "work",
    "parent_origin",
    "listed_model",
    "contradictions",
    "agreements",
    "disk",
    # What of these two matters is put together in TaskSpec.image.
    "recipe",
    "containers",
)
# The same for a subject: what excludes tasks or refuses patches, but runs nothing differently.
ONLY_SAID = ("title", "known", "backend", "reach", "native_patterns")


class Agent(Record, frozen=True, kw_only=True):
    """One agent and where its patches lie: a folder, or places in order of trust."""

    patches: str | tuple[PatchPlace, ...]
    title: str = ""


class Campaign(Record, frozen=True, kw_only=True):
    """Everything planned. ``tasks`` are in the order in which they will be worked off."""

    name: str
    results: str
    work: str
    runtime: str
    trust_patches: bool
    agents: dict[str, Agent]
    tasks: dict[str, TaskSpec]
    protocol: Protocol
    statistics: VerdictRules
    containers: Containers = Containers()
    disk: DiskRules = DiskRules()
    breaker: int = 0
    members: dict[str, Member] = msgspec.field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    @property
    def commits(self) -> list[str]:
        """Commits of all tasks, in order."""
        return list(self.tasks)

    @property
    def patched_arms(self) -> list[str]:
        """Arms that have a patch: the human's and each agent's."""
        return [HUMAN, *self.agents]

    @property
    def arms(self) -> list[str]:
        """All arms of a task."""
        return [BASELINE, *self.patched_arms]

    @property
    def launches(self) -> int:
        """Launches that are sure to come, for the progress display: those of all first blocks, and
        A/A pairs beyond them."""
        first, pairs = self.protocol.blocks, self.protocol.aa_blocks
        aa = min(pairs, first) + len(AA_PAIR) * max(0, pairs - first)
        runnable = sum(self.gpus(commit) > 0 for commit in self.tasks)
        each = [len(self.arms_of(cohort)) * first + aa for cohort in self.cohorts]
        return sum(each) * runnable

    @property
    def cohorts(self) -> list[int]:
        """Cohorts of the agents that the configuration names."""
        return sorted({self.members[name].cohort for name in self.agents})

    @property
    def blocks(self) -> list[int]:
        """Numbers of all blocks of a task, over all cohorts."""
        most = self.protocol.most_blocks
        return [n for c in self.cohorts for n in block_numbers(c, most)]

    def arms_of(self, cohort: int) -> list[str]:
        """Arms of a cohort's blocks: the baseline, the human's and its agents."""
        return [
            BASELINE,
            HUMAN,
            *(name for name in self.agents if self.members[name].cohort == cohort),
        ]

    @property
    def digests(self) -> dict[str, list[str]]:
        """Block digests of every task, one per cohort."""
        return {
            commit: [self.block_digest(commit, cohort) for cohort in self.cohorts]
            for commit in self.tasks
        }

    def gpus(self, commit: str) -> int:
        """GPUs that a block of a task takes: at least one slot, 0 if the task is excluded."""
        spec = self.tasks[commit]
        workload, _ = workload_of(spec)
        return max(1, workload.gpus) if workload else 0

    def patch_sources(self, arm: str) -> str | tuple[PatchPlace, ...]:
        """Where an agent's patches lie: a folder, or places in order of trust."""
        return self.agents[arm].patches

    def patch_fingerprint(self, commit: str, arm: str) -> str:
        """What the arm's patch is made from, without fetching it: reruns follow its changes."""
        spec = self.tasks[commit]
        if arm == HUMAN:
            return spec.parent or "git"
        query = PatchQuery(commit, spec.subject.name, spec.parent)
        return fingerprint(self.agents[arm].patches, query)

    def block_digest(self, commit: str, cohort: int = 0) -> str:
        """The one reason to measure a task's blocks again: its own spec, the rules, and the patches
        of the cohort (those of agents that were taken out as they were)."""
        patches = {HUMAN: self.patch_fingerprint(commit, HUMAN)}
        for name, member in sorted(self.members.items()):
            if member.cohort == cohort:
                patches[name] = member.fingerprints.get(commit, "unknown")
        spec = msgspec.to_builtins(self.tasks[commit])
        measured = {key: value for key, value in spec.items() if key not in NOT_MEASURED}
        measured["subject"] = measured["subject"] | dict.fromkeys(ONLY_SAID)
        for client in measured["subject"]["clients"].values():
            if not client["preload"]:  # as before there was such a thing
                del client["preload"]
        if self.protocol.windows > 1:
            measured["windows"] = self.protocol.windows
        if image := self.tasks[commit].image:
            measured["image"] = image
        return digest(
            {
                "version": PROTOCOL_VERSION,
                "spec": measured,
                "exclusive": self.protocol.exclusive,
                "patches": patches,
            },
            16,
        )


def load(config: dict[str, Any], origin: str = "config") -> Campaign:
    """Check a configuration and read the files that it names.

    Raises BadInput with one line that names the file and the key.
    """
    wanted = config_schema.schema("config")
    given = config_schema.typed(config, wanted)
    config_schema.check(given, "config", origin)
    full = config_schema.with_defaults(given, wanted)
    protocol = msgspec.convert(_protocol(full.get("protocol", {}), origin), Protocol, strict=False)
    agents = msgspec.convert(full["agents"], dict[str, Agent])
    machine = {key: value for key, value in full["containers"].items() if key != "sandbox"}
    containers = msgspec.convert(machine, Containers)
    disk = msgspec.convert(full["disk"], DiskRules, strict=False)
    common = {
        "max_gpus": full["max_gpus_per_task"],
        "protocol": protocol,
        "runtime": full["runtime"],
        "work": full["work"],
        "containers": containers,
        "disk": disk,
    }
    specs = [plan_task(merged, full, common) for merged in merged_lists(full, origin)]
    tasks = {spec.commit: spec for spec in specs}
    if full["runtime"] == "process" and not full["trust_patches"]:
        raise BadInput(
            f"{origin}: trust_patches: the process runtime runs patched code without a sandbox; "
            "say 'trust_patches: true' if every patch of this campaign is trusted"
        )
    warnings = [
        f"{origin}: agents.{name}.patches: {problem}"
        for name, agent in agents.items()
        for problem in problems(agent.patches)
    ]
    found = Campaign(
        name=full["campaign"],
        results=full["results"],
        work=full["work"],
        runtime=full["runtime"],
        trust_patches=full["trust_patches"],
        agents=agents,
        tasks=tasks,
        protocol=protocol,
        statistics=msgspec.convert(full["statistics"], VerdictRules, strict=False),
        containers=containers,
        disk=disk,
        breaker=full["breaker"],
        warnings=tuple(warnings),
    )
    fingerprints = {
        agent: {commit: found.patch_fingerprint(commit, agent) for commit in tasks}
        for agent in agents
    }
    before = cohorts.recall(Path(found.results))
    members = cohorts.assign(fingerprints, before, joint=full["joint"])
    return msgspec.structs.replace(found, members=members)


def _protocol(given: dict[str, Any], origin: str) -> dict[str, Any]:
    """The protocol with ``blocks: {min, max}`` as two figures. Raises BadInput."""
    blocks = given.get("blocks", 5)
    if not isinstance(blocks, dict):
        return given
    if blocks["max"] < blocks["min"]:
        raise BadInput(f"{origin}: protocol.blocks: max {blocks['max']} is less than min")
    return given | {"blocks": blocks["min"], "max_blocks": blocks["max"]}
