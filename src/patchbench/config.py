"""The parts of a campaign's configuration that stages read: limits, protocol, rules, machine."""

from __future__ import annotations

from typing import Literal

import msgspec


class Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of everything that a person writes: immutable, keyword-only, unknown keys refused."""


class Sandbox(Section, frozen=True, kw_only=True):
    """What a container may use. Sizes are MiB; ``cpus`` None means all; ``user`` is UID:GID."""

    memory_mb: int = 16384
    cpus: float | None = None
    pids: int = 2048
    shm_mb: int = 1024
    tmp_mb: int = 4096
    user: str = "65534:65534"


class Mount(Section, frozen=True, kw_only=True, rename={"source": "from", "target": "to"}):
    """A folder of the host that containers see, read-only."""

    source: str
    target: str


class Containers(Section, frozen=True, kw_only=True):
    """What of containers depends on the machine: where the engine listens, how they get a GPU."""

    engine: str = ""
    gpu: Literal["none", "nvidia", "devices"] = "none"
    devices: tuple[str, ...] = ()
    mounts: tuple[Mount, ...] = ()
    env: dict[str, str] = {}


class DiskRules(Section, frozen=True, kw_only=True):
    """How much disk a campaign may take. ``wait`` and ``patience`` are seconds; ``reserve_mb`` and
    ``reserve_inodes`` stay free on the engine's and the results' file systems; ``outcomes_mb`` is
    set aside in the results folder and given up last, so that outcomes can still be written."""

    image_slots: int = 3
    reserve_mb: int = 2048
    reserve_inodes: int = 10000
    outcomes_mb: int = 32
    keep_finished: int = 0
    patience: float = 20.0
    wait: float = 86400.0


class Limits(Section, frozen=True, kw_only=True):
    """Time limits of each phase, seconds. Every wait has one, and it ends the process tree."""

    build: float = 1800.0
    smoke: float = 300.0
    start: float = 600.0
    check: float = 120.0
    benchmark: float = 1800.0
    stop: float = 20.0
    gpu_wait: float = 86400.0


class Protocol(Section, frozen=True, kw_only=True):
    """How arms are measured. Of these only ``exclusive`` and ``windows`` make measured blocks
    invalid. ``blocks`` always run; up to ``max_blocks``, if that is more, for arms that are open.
    The baseline runs twice in the first ``aa_blocks``; those that no arm needs hold nothing else.
    ``windows`` are measured one after another on one server launch."""

    blocks: int = 5
    max_blocks: int = 0
    windows: int = 1
    aa_blocks: int = 1
    arm_failures: int = 2
    exclusive: bool = False
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
    """When a speedup is called real (docs/verdicts.md)."""

    confidence: float
    min_floor: float
    min_blocks: int
    implausible: float
    review_human_gain: float
    review_ratio: float = 2.0
