"""The campaign that a configuration and its files describe, checked before anything runs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from patchbench.config import Containers, DiskRules, Protocol, VerdictRules
from patchbench.errors import BadInput
from patchbench.ledger.blocks import block_numbers
from patchbench.patches.sources import (
    PatchPlace,
    PatchQuery,
    away,
    fingerprint,
)
from patchbench.plan import (
    cohorts,
    config_file,
    mounts,
    results_folder,
    selection,
    source_paths,
    warnings,
)
from patchbench.plan.cohorts import Member, Reading
from patchbench.plan.configuration import Agent, BlockRange, Config
from patchbench.plan.tasks import check_metric, merged_lists, plan_task
from patchbench.plan.windows import with_windows
from patchbench.records import AA_PAIR, BASELINE, HUMAN, Record, Task
from patchbench.system import source_folder
from patchbench.system.files import digest

# Bump if a change of patchbench makes older raw files incomparable with new ones.
PROTOCOL_VERSION = 1

UNTRUSTED = (
    "trust_patches: the process runtime runs patched code without a sandbox; say "
    "'trust_patches: true' if every patch of this campaign is trusted, or 'runtime: docker'"
)

# Keys of a subject that exclude tasks or refuse patches, but run nothing differently.
NOT_MEASURED = ("title", "known", "backend", "reach", "native_patterns")
# The same, of keys that older digests don't have.
UNKNOWN_BEFORE = ("plumbing", "facts", "vocabulary")


class Campaign(Record, frozen=True, kw_only=True):
    """Everything planned. ``tasks`` are in the order in which they will be worked off."""

    name: str
    results: str
    work: str
    runtime: str
    trust_patches: bool
    agents: dict[str, Agent]
    tasks: dict[str, Task]
    protocol: Protocol
    statistics: VerdictRules
    containers: Containers = Containers()
    disk: DiskRules = DiskRules()
    breaker: int = 0
    human: bool = True
    members: dict[str, Member] = msgspec.field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    @property
    def commits(self) -> list[str]:
        """Commits of all tasks, in order."""
        return list(self.tasks)

    @property
    def patched_arms(self) -> list[str]:
        """Arms that have a patch: the human's, if it is measured, and each agent's."""
        return [*self._human_arm, *self.agents]

    @property
    def arms(self) -> list[str]:
        """All arms of a task."""
        return [BASELINE, *self.patched_arms]

    @property
    def launches(self) -> int:
        """Number of launches that are certain: those of all first blocks, and A/A pairs beyond."""
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
        """Return the arms of a cohort's blocks: the baseline, the human's if it is measured, and
        the cohort's agents."""
        return [
            BASELINE,
            *self._human_arm,
            *(name for name in self.agents if self.members[name].cohort == cohort),
        ]

    @property
    def _human_arm(self) -> list[str]:
        return [HUMAN] if self.human else []

    @property
    def digests(self) -> dict[str, list[str]]:
        """Block digests of every task, one per cohort."""
        return {
            commit: [self.block_digest(commit, cohort) for cohort in self.cohorts]
            for commit in self.tasks
        }

    def remembered_digests(self, commit: str) -> set[str]:
        """Return the block digests of a task of all cohorts, also of those whose agents were taken
        out of the configuration: what was measured for them stays valid."""
        cohorts_ = {member.cohort for member in self.members.values()}
        return {self.block_digest(commit, cohort) for cohort in cohorts_}

    def gpus(self, commit: str) -> int:
        """Return the GPUs of a task's block: at least one, 0 if the task is excluded."""
        workload = self.tasks[commit].workload
        return max(1, workload.gpus) if workload else 0

    def patch_sources(self, arm: str) -> str | tuple[PatchPlace, ...]:
        """Return where an agent's patches lie: a folder, or places in order of trust."""
        return self.agents[arm].patches

    def patch_fingerprint(self, commit: str, arm: str) -> str:
        """Return a text that changes whenever the arm's patch does, without fetching it."""
        task = self.tasks[commit]
        if arm == HUMAN:
            return task.parent or "git"
        query = PatchQuery(commit, task.subject.name, task.parent)
        return fingerprint(self.agents[arm].patches, query)

    def block_digest(self, commit: str, cohort: int = 0) -> str:
        """Return the digest of all that a task's blocks depend on: subject, command, runtime, and
        the patches of the cohort (of agents taken out, as they were last planned)."""
        patches = {arm: self.patch_fingerprint(commit, arm) for arm in self._human_arm}
        for name, member in sorted(self.members.items()):
            if member.cohort == cohort:
                patches[name] = member.fingerprints.get(commit, "unknown")
        task = self.tasks[commit]
        subject = msgspec.to_builtins(task.subject) | dict.fromkeys(NOT_MEASURED)
        for key in UNKNOWN_BEFORE:
            del subject[key]
        for client in subject["clients"].values():
            if not client["optional"]:  # older digests don't have it
                del client["optional"]
            for key in ("options_of", "defaults"):  # they make the load
                del client[key]
        measured = {
            "commit": commit,
            "subject": subject,
            "parent": task.parent,
            "perf_command": task.perf_command or None,
            "runtime": task.runtime,
        }
        if task.protocol.windows > 1:
            measured["windows"] = task.protocol.windows
        if task.workload is not None and task.workload.load is not None:
            measured["load"] = msgspec.to_builtins(task.workload.load)
        if task.substitute is not None:
            measured["substitute"] = task.substitute
        if task.recipe is not None:
            measured["image"] = {
                "recipe": task.recipe.digest,
                "prebuilt": task.recipe.prebuilt,
                "cpus": task.recipe.sandbox.cpus,
                "gpu": task.containers.gpu,
            }
        return digest(
            {
                "version": PROTOCOL_VERSION,
                "spec": measured,
                "exclusive": self.protocol.exclusive,
                "patches": patches,
            },
            16,
        )


def load(config: Mapping[str, Any], origin: str = "config") -> Campaign:
    """Return the campaign that a configuration and the files that it names describe.

    Raises BadInput with one line that names the file and the key.
    """
    given = config_file.read(config, Config, origin)
    if given.runtime == "process" and not given.trust_patches:
        raise BadInput(f"{origin}: {UNTRUSTED}")
    if given.runtime == "docker":
        mounts.check(given.containers.mounts, origin)
    blocks = given.protocol.blocks
    if isinstance(blocks, BlockRange) and blocks.max < blocks.min:
        raise BadInput(f"{origin}: protocol.blocks: max {blocks.max} is less than min {blocks.min}")
    for name in given.statistics.margins:
        check_metric(name, f"{origin}: statistics.margins")
    for name, data in given.data_sets.items():
        if bool(data.file) == (data.stand_in is not None) or bool(data.file) != bool(data.sha256):
            raise BadInput(
                f"{origin}: data_sets.{name}: give a file with its sha256, or a stand_in"
            )
    limits = config.get("containers", {}).get("sandbox", {})
    sandbox = {key: getattr(given.containers.sandbox, key) for key in limits}
    results_folder.check(Path(given.results), given.campaign, origin)
    listed = list(merged_lists(given, origin))
    if not listed:
        raise BadInput(f"{origin}: tasks: the lists name no task, so there is nothing to measure")
    kept = selection.chosen(listed, given.only, origin)
    planned = [with_windows(plan_task(merged, given, sandbox)) for merged in kept]
    campaign = Campaign(
        name=given.campaign,
        results=given.results,
        work=given.work,
        runtime=given.runtime,
        trust_patches=given.trust_patches,
        agents=given.agents,
        tasks={task.commit: task for task in planned},
        protocol=given.plain_protocol,
        statistics=given.statistics,
        containers=given.plain_containers,
        disk=given.disk,
        breaker=given.breaker,
        human=given.human,
    )
    readings = {
        name: Reading(
            {commit: campaign.patch_fingerprint(commit, name) for commit in campaign.tasks},
            away(agent.patches),
        )
        for name, agent in given.agents.items()
    }
    before = cohorts.recall(Path(given.results))
    old_names = {} if given.joint else cohorts.renamed(readings, before)
    for name, old in old_names.items():
        before[old] = msgspec.structs.replace(before[old], called=name)
    readings = {old_names.get(name, name): reading for name, reading in readings.items()}
    agents = {
        old_names.get(name, name): msgspec.structs.replace(agent, title=agent.title or name)
        for name, agent in given.agents.items()
    }
    members = cohorts.assign(readings, before, joint=given.joint)
    tasks = campaign.tasks
    if given.tasks_without_patches == "skip":
        tasks = {
            commit: task
            if selection.has_patch(commit, agents, members)
            else selection.without_patch(task, len(agents))
            for commit, task in tasks.items()
        }
    out = {commit: t.exclusion.reason if t.exclusion else "" for commit, t in tasks.items()}
    return msgspec.structs.replace(
        campaign,
        agents=agents if old_names else given.agents,
        tasks=tasks,
        members=members,
        warnings=(
            *warnings.renamed(origin, old_names),
            *warnings.of_places(origin, agents, readings, before),
            *warnings.of_strays(origin, given.agents, [task.commit for task in listed]),
            *warnings.no_verdict(origin, given.plain_protocol, given.statistics),
            *warnings.nothing_to_do(origin, out),
        ),
    )


def load_file(path: Path) -> Campaign:
    """Return the campaign of a configuration file, with relative paths as the workflow looks them
    up (``source_paths``). Raises BadInput."""
    config = config_file.read_yaml(path)
    if isinstance(config, Mapping):
        config = source_paths.resolve(config, source_folder.own())
    return load(config, str(path))
