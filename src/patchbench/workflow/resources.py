"""Resources of the whole run: the limits that hold unless ``--resources`` names others."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from patchbench.errors import BadInput
from patchbench.images.room import TREE_MB, image_mb, spare_mb
from patchbench.plan.campaign import Campaign
from patchbench.records import BASELINE

# Builds at a time; and those that may wait for room on the disk.
BUILDS, WAITING_BUILDS = 2, 1


def limits(campaign: Campaign, gpus: int) -> dict[str, int]:
    """Return the limits of a run by resource. They stand here and not in a profile because
    ``--resources gpu=1`` replaces a profile's whole ``resources`` block."""
    return {
        "gpu": gpus,
        "build": BUILDS,
        "image_slots": WAITING_BUILDS,
        "disk_mb": spare_mb(campaign),
    }


def check(given: Mapping[str, int], most_gpus: int) -> None:
    """Raise BadInput if a task needs more GPUs than the run may use: Snakemake would cap what it
    asks for without a message, and would read 0 as no limit."""
    gpus = given["gpu"]
    if gpus < 1:
        raise BadInput(
            f"--resources gpu={gpus}: blocks need at least one GPU slot (Snakemake would read 0 as "
            "no limit); to render what is there without measuring use `snakemake report`"
        )
    if most_gpus > gpus:
        raise BadInput(
            f"--resources gpu={gpus}: a task needs more GPUs than that; give more, or set "
            "max_gpus_per_task lower, which excludes such tasks"
        )


def of_builds(campaign: Campaign) -> dict[str, int | Callable[[Any], int]]:
    """Return threads and resources of build_image: figures if no build has to wait for room, else
    functions of a job's wildcards.

    A commit's first image may have to wait. Its build takes no thread and no build slot meanwhile:
    it must neither keep a core from the blocks that it waits for, nor keep other builds waiting
    whose commits are on the disk."""
    if campaign.runtime != "docker":
        return {"threads": 1, "build": 1, "image_slots": 0, "disk_mb": TREE_MB}

    def waits(wildcards: Any) -> int:
        return int(wildcards.arm == BASELINE)

    def builds(wildcards: Any) -> int:
        return 1 - waits(wildcards)

    def size(wildcards: Any) -> int:
        return image_mb(campaign, wildcards.commit, wildcards.arm)

    return {"threads": builds, "build": builds, "image_slots": waits, "disk_mb": size}
