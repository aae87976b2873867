"""Provenance of a launch: machine, GPU, image and versions, and what the GPUs did meanwhile."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from pathlib import Path

from patchbench import __version__
from patchbench.benchmark.context import BlockContext
from patchbench.records import BASELINE, Phase
from patchbench.system import gpu_driver, gpu_slots, slurm, telemetry


def provenance(context: BlockContext, slot: gpu_slots.Slot | None) -> dict[str, str]:
    """Return the machine, GPU slot, parent image and versions of a launch."""
    baseline = context.images[BASELINE]
    return {
        "host": slurm.host(),
        "node": slurm.node(),
        "slurm_job": slurm.job(),
        "machine": platform.machine(),
        "cores": str(os.cpu_count()),
        "load_1min": f"{os.getloadavg()[0]:.2f}",
        "gpu_slot": slot.name if slot else "",
        "runtime": context.runtime.name,
        "parent_image": baseline.image_id,
        "patchbench": __version__,
        **(gpu_driver.about(slot.devices) if slot else {}),
        **{f"version.{name}": version for name, version in baseline.versions.items()},
    }


def gpu_activity(folder: Path) -> dict[str, str]:
    """Return means over the launch's telemetry, the share of time in which its GPUs worked and the
    reasons for lowered clocks; empty without telemetry."""
    summary = telemetry.summary(folder / telemetry.FILE)
    if summary is None:
        return {}
    means = {f"gpu_{name}": f"{value:.1f}" for name, value in summary.mean.items()}
    working = {} if summary.working is None else {"gpu_working": f"{summary.working:.3f}"}
    return {**means, **working, "gpu_throttle": " ".join(summary.throttle)}


def processor_time(phases: Sequence[Phase]) -> dict[str, str]:
    """Return the processor seconds of a launch's server under load; empty if not measured."""
    seconds = [phase.cpu_s for phase in phases if phase.cpu_s is not None]
    return {"cpu_s": f"{sum(seconds):.2f}"} if seconds else {}
