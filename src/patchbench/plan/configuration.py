"""A campaign's configuration: every key with its type, limits, default and text."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from patchbench.config import (
    Containers,
    Count,
    DiskRules,
    Protocol,
    Sandbox,
    Section,
    VerdictRules,
    Whole,
)
from patchbench.load import DataSetFile
from patchbench.patches.sources import PatchPlace
from patchbench.records import Answers
from patchbench.subject import Prebuilt

Folder = Annotated[str, Meta(pattern="^[A-Za-z0-9_./-]+$", title="a path of plain characters")]
AgentName = Annotated[
    str,
    Meta(
        pattern="^(?!(baseline|human|baseline-aa|released)$)[a-z0-9][a-z0-9_.-]*$",
        title="an agent's name: small letters, digits, '_', '.', '-'; none of baseline, human, "
        "baseline-aa, released",
    ),
]
SubjectName = Annotated[str, Meta(pattern="^[a-z0-9][a-z0-9_-]*$", title="a subject's name")]
Commit = Annotated[
    str, Meta(pattern="^[0-9a-f]{40}$", title="a commit hash of 40 characters, in quotes")
]
Beginning = Annotated[
    str,
    Meta(pattern="^[0-9a-f]{7,40}$", title="7 to 40 characters of a commit hash, in quotes"),
]
FirstBlocks = Annotated[int, Meta(ge=1, le=99)]
Windows = Annotated[int, Meta(ge=1, le=50)]


class ParentsFile(Section, frozen=True, kw_only=True):
    """A list, with its source for download."""

    file: str
    get: Annotated[str, Meta(description="where to get the file; said if it is not there")] = ""


class TaskFile(ParentsFile, frozen=True, kw_only=True):
    """A task list; ``subject`` is that of records that name none."""

    subject: str | None = None


class Agent(Section, frozen=True, kw_only=True):
    """One agent and where its patches lie."""

    patches: Annotated[
        str | Annotated[tuple[PatchPlace, ...], Meta(min_length=1)],
        Meta(description="a folder of patches, or places in order of trust (see Patches)"),
    ]
    title: Annotated[
        str, Meta(description="how the report names the agent", extra={"default": "its name"})
    ] = ""


class BlockRange(Section, frozen=True, kw_only=True):
    """Blocks that always run, and the most that an open arm may get."""

    min: FirstBlocks
    max: FirstBlocks


class ProtocolKeys(Protocol, frozen=True, kw_only=True):
    """Rules for measuring arms. A change of ``exclusive``, ``windows`` or ``measure`` makes blocks
    run again."""

    blocks: Annotated[
        FirstBlocks | BlockRange,
        Meta(
            description="blocks per task; each launches every arm once. Fewer than 5 are a screen. "
            "Of a range, those beyond `min` run only for arms that are still open"
        ),
    ] = 5  # type: ignore[assignment]
    windows: Annotated[
        Windows | Literal["auto"],
        Meta(
            description="windows per launch of a server; the launch is the unit. `auto`: by the "
            "length of a task's window, from 1 to 50"
        ),
    ] = 1  # type: ignore[assignment]


class ContainerKeys(Containers, frozen=True, kw_only=True):
    """Machine-dependent facts of containers."""

    sandbox: Annotated[
        Sandbox,
        Meta(
            description="what a container may use",
            extra={"default": "the recipe's"},
        ),
    ] = Sandbox()


class Config(Section, frozen=True, kw_only=True):
    """A campaign. Paths are relative to the folder that it is run in."""

    campaign: Annotated[
        str,
        Meta(
            pattern="^[A-Za-z0-9][A-Za-z0-9_.-]*$",
            title="a name of letters, digits, '_', '.', '-'",
            description="name, shown in the report",
        ),
    ]
    results: Annotated[
        Folder, Meta(description="folder of everything that is found out. Keep it")
    ] = "results"
    work: Annotated[
        Folder, Meta(description="folder of what can be made again: repositories, trees")
    ] = ".patchbench"
    runtime: Annotated[
        Literal["process", "docker"],
        Meta(description="where arms run: `process` (plain processes), `docker` (a sandbox each)"),
    ] = "process"
    trust_patches: Annotated[
        bool, Meta(description="must be `true` for `process`, which has no sandbox")
    ] = False
    tasks: Annotated[
        tuple[str | TaskFile, ...],
        Meta(
            min_length=1,
            description="task lists, read in this order: paths, or mappings",
        ),
    ]
    parents: Annotated[
        tuple[str | ParentsFile, ...],
        Meta(description="lists that only fill in parents: paths, or mappings"),
    ] = ()
    only: Annotated[
        tuple[Beginning, ...],
        Meta(
            description="commits to measure, by their first 7 to 40 characters; the others of the "
            "lists are left out"
        ),
    ] = ()
    tasks_without_patches: Annotated[
        Literal["skip", "measure"],
        Meta(
            description="tasks that no agent has a patch for: `skip` excludes them (`no_patch`), "
            "`measure` launches baseline and human all the same"
        ),
    ] = "skip"
    subjects: Annotated[str, Meta(description="folder of the subjects' files")] = "config/subjects"
    repositories: Annotated[
        dict[SubjectName, str],
        Meta(
            description="a git repository of that engine, used as it is in place of the one that "
            "the subject's file makes; it is only read"
        ),
    ] = {}
    joint: Annotated[bool, Meta(description="measure all agents together anew (see below)")] = False
    max_gpus_per_task: Annotated[
        Count, Meta(description="tasks that need more are excluded as `needs_gpus:N`")
    ] = 1
    model_substitutes: Annotated[
        dict[str, str],
        Meta(
            description="by model: one of the same shape that runs where the parent's engine does "
            "not know it; shown wherever the task is",
        ),
    ] = {}
    data_sets: Annotated[
        dict[str, DataSetFile],
        Meta(
            description="data sets that commands mean, by the name or path that they give",
            extra={"key": "NAME"},
        ),
    ] = {}
    agents: Annotated[
        dict[AgentName, Agent],
        Meta(
            min_length=1,
            description="agents by name; the name stands in paths and tables",
            extra={"key": "NAME"},
        ),
    ]
    human: Annotated[
        bool,
        Meta(
            description="`false`: the human's commit is not measured, only each agent's patch "
            "against the parent (`patchbench pr`)"
        ),
    ] = True
    recipes: Annotated[str, Meta(description="folder of the image recipes (`docker`)")] = (
        "envs/images"
    )
    images: Annotated[
        dict[str, Prebuilt],
        Meta(
            description="images that others made, per subject; a missing one is never replaced",
            extra={"key": "SUBJECT"},
        ),
    ] = {}
    containers: ContainerKeys = ContainerKeys()
    disk: DiskRules = DiskRules()
    breaker: Annotated[
        Whole,
        Meta(description="equal faults of the machine in a row that end a run early; 0 never does"),
    ] = 4
    protocol: ProtocolKeys = ProtocolKeys()
    statistics: VerdictRules = VerdictRules()

    @property
    def plain_protocol(self) -> Protocol:
        """Return the protocol with a range of blocks as two figures, and 0 windows for `auto`."""
        given = msgspec.structs.asdict(self.protocol)
        if self.protocol.windows == "auto":
            given["windows"] = 0
        if isinstance(blocks := self.protocol.blocks, BlockRange):
            given |= {"blocks": blocks.min, "max_blocks": blocks.max}
        return Protocol(**given)

    @property
    def plain_containers(self) -> Containers:
        """Return the same without the sandbox, which each task has in its recipe."""
        given = msgspec.structs.asdict(self.containers)
        del given["sandbox"]
        return Containers(**given)


class ListedTask(Section, frozen=True, kw_only=True):
    """One performance commit of our own list."""

    commit: Annotated[Commit, Meta(description="the performance commit")]
    subject: Annotated[SubjectName, Meta(description="name of a file in the subjects' folder")]
    perf_command: Annotated[
        str | None, Meta(description="benchmark command as the commit's author gave it")
    ]
    parent: Annotated[Commit | None, Meta(description="its parent; null: git resolves it")] = None
    title: Annotated[str, Meta(description="shown in the report")] = ""
    primary_metric: Annotated[
        str | None,
        Meta(
            description="metric that decides, named before the run",
            extra={"default": "by benchmark type"},
        ),
    ] = None
    guard_metrics: Annotated[
        tuple[str, ...] | None,
        Meta(
            description="metrics that must not get worse for a gain to count",
            extra={"default": "by benchmark type"},
        ),
    ] = None
    answers: Annotated[
        Answers,
        Meta(
            description="`ignored`: answers are not checked, so that dummy weights may be measured"
        ),
    ] = "checked"


class TaskList(Section, frozen=True, kw_only=True):
    """A list of tasks, one per performance commit."""

    tasks: tuple[ListedTask, ...]
