"""The parts of a campaign's configuration that stages read: machine, protocol, rules.

Types, limits, defaults and the text of each key stand here alone: reading, JSON schemas
(``patchbench schema``) and the tables of config/README.md follow from them.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

Count = Annotated[int, Meta(ge=1)]
Whole = Annotated[int, Meta(ge=0)]
Seconds = Annotated[float, Meta(gt=0)]
Above1 = Annotated[float, Meta(gt=1)]


class Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of everything that a person writes: immutable, keyword-only, unknown keys refused."""


class Vocabulary(Section, frozen=True, kw_only=True):
    """Token ids that the judge's prompts are drawn from, both ends included: every model of the
    subject has them, and none of them is special."""

    first: Annotated[
        Whole, Meta(description="least token id of the judge's prompts; none is a special one")
    ] = 1000
    last: Annotated[Count, Meta(description="the greatest; every model has it")] = 9999


class Sandbox(Section, frozen=True, kw_only=True):
    """Resources of a container. ``cpus`` is part of the measurement, the others are limits."""

    memory_mb: Annotated[int, Meta(ge=64, description="memory of one container")] = 16384
    cpus: Annotated[
        Annotated[float, Meta(gt=0)] | None,
        Meta(description="part of what is measured", extra={"default": "all"}),
    ] = None
    pids: Annotated[int, Meta(ge=16, description="processes and threads")] = 2048
    shm_mb: Annotated[Count, Meta(description="`/dev/shm`")] = 1024
    tmp_mb: Annotated[Count, Meta(description="`/tmp`")] = 4096
    user: Annotated[
        str, Meta(pattern="^[0-9]+:[0-9]+$", title="numbers as UID:GID", description="`UID:GID`")
    ] = "65534:65534"


class Mount(Section, frozen=True, kw_only=True, rename={"source": "from", "target": "to"}):
    """A folder of the host that containers see, read-only."""

    source: str
    target: Annotated[str, Meta(pattern="^/", title="an absolute path")]


class Containers(Section, frozen=True, kw_only=True):
    """Machine-dependent facts of containers: the engine's address, and their access to GPUs."""

    engine: Annotated[
        str,
        Meta(
            description="where the engine listens; on a cluster, on each node",
            extra={"default": "`DOCKER_HOST`, else the usual socket"},
        ),
    ] = ""
    gpu: Annotated[
        Literal["none", "nvidia", "devices"],
        Meta(
            description="how containers get a GPU: `nvidia` asks the engine (NVIDIA's toolkit), "
            "`devices` passes device nodes through"
        ),
    ] = "none"
    devices: Annotated[
        tuple[str, ...],
        Meta(
            description="device nodes for `devices`; `{index}` is the GPU's minor number",
            extra={"default": "NVIDIA's"},
        ),
    ] = ("/dev/nvidia{index}", "/dev/nvidiactl", "/dev/nvidia-uvm", "/dev/nvidia-uvm-tools")
    mounts: Annotated[
        tuple[Mount, ...],
        Meta(description="folders that containers see read-only (driver, models)"),
    ] = ()
    env: Annotated[
        dict[str, str], Meta(description="environment that goes with them (a library path)")
    ] = {}


class DiskRules(Section, frozen=True, kw_only=True):
    """Limits on the disk space of a campaign (docs/containers.md)."""

    image_slots: Annotated[
        Count,
        Meta(
            description="commits whose images may lie on disk at once; on a cluster, per node: at "
            "least its GPUs"
        ),
    ] = 3
    reserve_mb: Annotated[
        Whole, Meta(description="stays free on the engine's and the results' file systems")
    ] = 2048
    reserve_inodes: Annotated[Whole, Meta(description="the same for inodes")] = 10000
    outcomes_mb: Annotated[
        Whole,
        Meta(
            description="set aside in the results folder and given up last, so that outcomes can "
            "be written on a full disk"
        ),
    ] = 32
    keep_finished: Annotated[
        Whole,
        Meta(description="finished commits whose images may stay until the room is needed"),
    ] = 0
    patience: Annotated[
        float,
        Meta(ge=0, description="seconds to wait for room if nothing of this campaign can make any"),
    ] = 20.0
    wait: Annotated[
        Seconds, Meta(description="seconds that a build waits for room before the run ends")
    ] = 86400.0


class Limits(Section, frozen=True, kw_only=True):
    """Time limits of each phase, seconds. Each ends the phase's whole process tree."""

    build: Annotated[Seconds, Meta(description="seconds for making one arm's image")] = 1800.0
    smoke: Annotated[Seconds, Meta(description="seconds for its smoke test")] = 300.0
    start: Annotated[Seconds, Meta(description="seconds until a server is ready")] = 600.0
    check: Annotated[Seconds, Meta(description="seconds for the output check's prompts")] = 120.0
    benchmark: Annotated[
        Seconds, Meta(description="seconds for one window, or one offline benchmark")
    ] = 1800.0
    stop: Annotated[Seconds, Meta(description="seconds until a stopped process is killed")] = 20.0
    gpu_wait: Annotated[Seconds, Meta(description="seconds to wait for a block's GPUs")] = 86400.0
    gpu_return: Annotated[
        Seconds,
        Meta(
            description="seconds that an interrupted block waits for the GPUs of its finished "
            "launches; after that it is measured anew on others"
        ),
    ] = 1800.0


class Protocol(Section, frozen=True, kw_only=True):
    """Rules for measuring arms. Only a change of ``exclusive``, ``windows`` or ``measure`` makes
    measured blocks invalid."""

    measure: Annotated[
        Literal["judge", "own"],
        Meta(
            description="`judge` sends the load and measures from outside; `own` runs the commit's "
            "own benchmark, whose figures are marked self-measured"
        ),
    ] = "judge"

    blocks: Annotated[
        int,
        Meta(
            ge=1,
            le=99,
            description="blocks per task; each launches every arm once. Fewer than 5 are a screen. "
            "`{min: 3, max: 7}` is short for `blocks: 3` and `max_blocks: 7`",
            extra_json_schema={"type": ["integer", "object"]},
        ),
    ] = 5
    max_blocks: Annotated[
        int,
        Meta(
            ge=0,
            le=99,
            description="if more than `blocks`: up to so many for arms that are still open",
        ),
    ] = 0
    windows: Annotated[
        int,
        Meta(
            ge=0,
            le=50,
            description="windows per launch of a server; the launch is the unit. 0: by the task's "
            "load",
        ),
    ] = 1
    budget_gpu_hours: Annotated[
        float,
        Meta(
            ge=0,
            description="GPU hours of the whole campaign, first blocks included, beyond which no "
            "further block of an open arm begins; 0: no limit",
        ),
    ] = 0.0
    aa_blocks: Annotated[
        int,
        Meta(
            ge=0,
            le=99,
            description="blocks of each cohort in which the baseline runs twice (A/A), alone in "
            "those that no arm needs; none is added to finished blocks",
        ),
    ] = 1
    arm_failures: Annotated[
        Count,
        Meta(description="an arm that failed so often in the same way is not launched again"),
    ] = 2
    exclusive: Annotated[
        bool, Meta(description="a block takes all cores: for measuring on a CPU")
    ] = False
    limits: Limits = Limits()

    @property
    def last_block(self) -> int:
        """The last block that an arm may get."""
        return max(self.blocks, self.max_blocks)

    @property
    def most_blocks(self) -> int:
        """Blocks that a task may get, those that hold an A/A pair alone too."""
        return max(self.last_block, self.aa_blocks)


class VerdictRules(Section, frozen=True, kw_only=True):
    """Rules for calling a speedup real (docs/verdicts.md). A change never runs a benchmark
    again."""

    confidence: Annotated[
        float, Meta(gt=0.5, lt=1, description="of the intervals, over all looks")
    ] = 0.95
    margin: Annotated[
        float,
        Meta(gt=0, lt=1, description="smallest change worth calling one (0.01 is 1 %)"),
    ] = 0.01
    margins: Annotated[
        dict[str, Annotated[float, Meta(gt=0, lt=1)]],
        Meta(description="the same for single metrics, by name, as primary metric or as guard"),
    ] = {}
    guard_margin: Annotated[
        float,
        Meta(gt=0, lt=1, description="loss of a guard metric that a gain is not faster with"),
    ] = 0.1
    min_blocks: Annotated[int, Meta(ge=2, description="fewer measured blocks give no verdict")] = 3
    implausible: Annotated[
        Above1, Meta(description="ratios beyond it are suspicious and not counted")
    ] = 10.0
    review_human_gain: Annotated[
        Above1,
        Meta(description="gains of more than so many times the human's are marked for review"),
    ] = 3.0
    review_ratio: Annotated[
        Above1,
        Meta(description="so are ratios beyond this that the human's commit does not reach"),
    ] = 2.0

    def margin_of(self, metric: str) -> float:
        """Return the margin of a primary metric."""
        return self.margins.get(metric, self.margin)
