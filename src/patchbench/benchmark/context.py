"""What a block works with, and on what and beside what its launches are made."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from patchbench import __version__
from patchbench.grading.run_folder import block_folder
from patchbench.ledger import journal
from patchbench.ledger.journal import Event
from patchbench.records import AA, BASELINE, Built, Task
from patchbench.runtimes import Runtime
from patchbench.system import gpu_slots, slurm, telemetry
from patchbench.system.processes import Guard


class Setting(NamedTuple):
    """All that a block works with. ``rebuild`` makes an image again that was evicted."""

    task: Task
    block: int
    digest: str
    images: dict[str, Built]
    results: Path
    slots: int
    runtime: Runtime
    guard: Guard
    rebuild: Callable[[Built], None]
    finished: Callable[[Event], None]

    @property
    def folder(self) -> Path:
        """Folder of this block's runs."""
        return block_folder(self.results, self.task.commit, self.block)

    @property
    def journal(self) -> Path:
        """This block's journal."""
        return journal.path(self.results, self.task.commit, self.block)

    def image(self, arm: str) -> Built:
        """The image of an arm; the A/A run takes the baseline's."""
        return self.images[BASELINE if arm == AA else arm]


def provenance(setting: Setting, slot: gpu_slots.Slot | None) -> dict[str, str]:
    """On what, with what and beside what a run is made."""
    versions = setting.images[BASELINE].versions
    return {
        "host": slurm.host(),
        "node": slurm.node(),
        "slurm_job": slurm.job(),
        "machine": platform.machine(),
        "cores": str(os.cpu_count()),
        "load_1min": f"{os.getloadavg()[0]:.2f}",
        "gpu_slot": slot.name if slot else "",
        "runtime": setting.runtime.name,
        "parent_image": setting.images[BASELINE].image_id,
        "patchbench": __version__,
        **(telemetry.about(slot.devices) if slot else {}),
        **{f"version.{name}": version for name, version in versions.items()},
    }


def observed(folder: Path) -> dict[str, str]:
    """What the GPUs did meanwhile, if anybody could see: for what share of the launch they worked,
    means of that time, and why clocks were held back."""
    found = telemetry.summary(folder / telemetry.FILE)
    if found is None:
        return {}
    means = {f"gpu_{name}": f"{value:.1f}" for name, value in found.mean.items()}
    working = {} if found.working is None else {"gpu_working": f"{found.working:.3f}"}
    return {**means, **working, "gpu_throttle": " ".join(found.throttle)}
