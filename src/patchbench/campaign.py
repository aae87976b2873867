"""The campaign: what is planned, read from a person's files and checked before anything runs.

Pure functions of the configuration and the files that it names; nothing is written here.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import msgspec

from patchbench import schema
from patchbench.errors import BadInput
from patchbench.files import digest
from patchbench.patches.sources import find_patch
from patchbench.records import AA, BASELINE, HUMAN, BenchType, Protocol, Record, Subject
from patchbench.tasks import parse_command, render
from patchbench.templates import placeholders

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
)

PRIMARY: dict[BenchType, str] = {
    "serving": "ttft_median_ms",
    "latency": "latency_avg_s",
    "throughput": "total_tps",
}


class Statistics(Record, frozen=True, kw_only=True):
    """When a speedup is called real (statistics.md 2.6)."""

    confidence: float
    min_floor: float
    min_blocks: int
    implausible: float
    review_human_gain: float


class Agent(Record, frozen=True, kw_only=True):
    """One agent and the folder of its patches."""

    patches: str
    title: str = ""


class TaskSpec(Record, frozen=True, kw_only=True):
    """One task as the person's list has it, with the subject's data and the protocol beside it."""

    commit: str
    subject: Subject
    parent: str | None = None
    title: str = ""
    perf_command: str | None = None
    primary_metric: str | None = None
    guard_metrics: tuple[str, ...] | None = None
    origin: str = ""
    max_gpus: int = 1
    protocol: Protocol = Protocol()
    runtime: str = "process"
    work: str = ".patchbench"


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
    statistics: Statistics
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
        """Launches planned at most, for the progress display."""
        aa = min(self.protocol.aa_blocks, self.protocol.blocks)
        runnable = sum(self.gpus(commit) > 0 for commit in self.tasks)
        return (len(self.arms) * self.protocol.blocks + aa) * runnable

    @property
    def digests(self) -> dict[str, str]:
        """Block digest of every task."""
        return {commit: self.block_digest(commit) for commit in self.tasks}

    def gpus(self, commit: str) -> int:
        """GPUs that a block of a task takes: at least one slot, 0 if the task is excluded."""
        spec = self.tasks[commit]
        workload, _ = render(spec.perf_command or "", spec.subject, max_gpus=spec.max_gpus)
        return max(1, workload.gpus) if workload else 0

    def patch_fingerprint(self, commit: str, arm: str) -> str:
        """What the arm's patch is made from, without fetching it: reruns follow its changes."""
        if arm == HUMAN:
            return self.tasks[commit].parent or "git"
        found = find_patch(Path(self.agents[arm].patches), commit)
        return digest(found.read_bytes(), 16) if found else "missing"

    def block_digest(self, commit: str) -> str:
        """The one reason to measure a task's blocks again: its own spec, the patches, the rules."""
        spec = msgspec.to_builtins(self.tasks[commit])
        measured = {key: value for key, value in spec.items() if key not in NOT_MEASURED}
        measured["subject"] = measured["subject"] | {"title": ""}
        return digest(
            {
                "version": PROTOCOL_VERSION,
                "spec": measured,
                "exclusive": self.protocol.exclusive,
                "patches": {arm: self.patch_fingerprint(commit, arm) for arm in self.patched_arms},
            },
            16,
        )


def load(config: dict[str, Any], origin: str = "config") -> Campaign:
    """Check a configuration and read the files that it names.

    Raises BadInput with one line that names the file and the key.
    """
    schema.check(config, "config", origin)
    full = schema.with_defaults(config, schema.schema("config"))
    protocol = msgspec.convert(full.get("protocol", {}), Protocol, strict=False)
    agents = msgspec.convert(full["agents"], dict[str, Agent])
    tasks: dict[str, TaskSpec] = {}
    for index, name in enumerate(full["tasks"]):
        for raw in read_tasks(name, f"{origin}: tasks.{index}"):
            if raw["commit"] in tasks:
                raise BadInput(f"{name}: commit {raw['commit'][:8]} stands in the lists twice")
            spec = TaskSpec(
                **(raw | {"subject": subject(full, raw["subject"], name)}),
                origin=name,
                max_gpus=full["max_gpus_per_task"],
                protocol=protocol,
                runtime=full["runtime"],
                work=full["work"],
            )
            check_command(spec)
            tasks[spec.commit] = spec
    if full["runtime"] == "process" and not full["trust_patches"]:
        raise BadInput(
            f"{origin}: trust_patches: the process runtime runs patched code without a sandbox; "
            "say 'trust_patches: true' if every patch of this campaign is trusted"
        )
    warnings = [
        f"{origin}: agents.{name}.patches: no folder {agent.patches}, so its coverage is 0"
        for name, agent in agents.items()
        if not Path(agent.patches).is_dir()
    ]
    return Campaign(
        name=full["campaign"],
        results=full["results"],
        work=full["work"],
        runtime=full["runtime"],
        trust_patches=full["trust_patches"],
        agents=agents,
        tasks=tasks,
        protocol=protocol,
        statistics=msgspec.convert(full["statistics"], Statistics, strict=False),
        warnings=tuple(warnings),
    )


def check_command(spec: TaskSpec) -> None:
    """Raise BadInput for a benchmark command that no shell could read either."""
    try:
        render(spec.perf_command or "", spec.subject, max_gpus=spec.max_gpus)
    except ValueError as error:
        raise BadInput(
            f"{spec.origin}: commit {spec.commit[:8]}: perf_command: {error}: {spec.perf_command}"
        ) from error


# What a subject's commands may be filled with, by key of its file.
PLACEHOLDERS = {
    "source.prepare": {"python", "repo"},
    "smoke": {"python"},
    "server.command": {"python", "host", "port", "model", "model_name", "seed", "server_args"},
    "clients": {
        "python", "host", "port", "model", "model_name", "seed", "client_args", "result",
        "result_dir", "result_name", "check_args",
    },
}  # fmt: skip


def check_placeholders(found: Subject, path: str) -> None:
    """Raise BadInput for a placeholder that nobody fills, before anything is built."""
    commands = {
        "source.prepare": found.source.prepare,
        "smoke": found.smoke,
        "server.command": found.server.command,
        **{f"clients.{type_}.command": c.command for type_, c in found.clients.items()},
    }
    for key, words in commands.items():
        known = PLACEHOLDERS["clients" if key.startswith("clients.") else key]
        unknown = sorted(placeholders(words) - known)
        if unknown:
            raise BadInput(
                f"{path}: {key}: unknown placeholder {{{unknown[0]}}}; known: "
                f"{', '.join(sorted(known))}"
            )


def read_tasks(path: str, origin: str) -> list[dict[str, Any]]:
    """Entries of one task list. Raises BadInput."""
    if not Path(path).is_file():
        raise BadInput(f"{origin}: no such file: {path}")
    loaded = schema.read_yaml(Path(path))
    schema.check(loaded, "tasks", path)
    tasks: list[dict[str, Any]] = loaded["tasks"]
    return tasks


def subject(config: dict[str, Any], name: str, origin: str) -> Subject:
    """A subject's data by name, with {work} filled in. Raises BadInput."""
    path = Path(config["subjects"]) / f"{name}.yaml"
    if not path.is_file():
        known = ", ".join(sorted(p.stem for p in path.parent.glob("*.yaml"))) or "none"
        raise BadInput(f"{origin}: subject: unknown subject {name!r} (no {path}); known: {known}")
    return _subject(str(path), name, config["work"])


@functools.cache
def _subject(path: str, name: str, work: str) -> Subject:
    loaded = schema.read_yaml(Path(path))
    schema.check(loaded, "subject", path)
    found = msgspec.convert(_fill(loaded, work) | {"name": name}, Subject, strict=False)
    check_placeholders(found, path)
    return found


def _fill(value: Any, work: str) -> Any:
    """Replace {work} in every string; other placeholders are filled when a command is run."""
    if isinstance(value, str):
        return value.replace("{work}", work)
    if isinstance(value, dict):
        return {key: _fill(item, work) for key, item in value.items()}
    if isinstance(value, list):
        return [_fill(item, work) for item in value]
    return value


def primary_metric(spec: TaskSpec) -> str:
    """The metric that decides, named by the task or by its benchmark type."""
    if spec.primary_metric:
        return spec.primary_metric
    type_ = parse_command(spec.perf_command or "", spec.subject).type
    return PRIMARY[type_ or "serving"]


def block_order(arms: list[str], block: int, protocol: Protocol) -> list[str]:
    """Order of the arms in a block (1-based): a cyclic Latin square, so that over the blocks every
    arm stands in every place. The baseline once more at the end of the first blocks is the A/A
    pair."""
    # With fewer blocks than arms, steps of more than one still put every arm early and late.
    shift = (block - 1) * max(1, len(arms) // max(1, protocol.blocks)) % len(arms)
    order = arms[shift:] + arms[:shift]
    return [*order, AA] if block <= protocol.aa_blocks else order
