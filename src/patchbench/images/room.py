"""Disk space that a campaign's images take, and what is free for them."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from patchbench.plan.campaign import Campaign
from patchbench.runtimes.docker import layers, watchdog
from patchbench.runtimes.docker.image_sizes import need
from patchbench.runtimes.docker.labels import engine_url
from patchbench.system import disk
from patchbench.system.disk import MB

# A tree of the process runtime, MiB: small beside any reserve.
TREE_MB = 50


def spare_mb(campaign: Campaign) -> int:
    """Return the space that images may take now, MiB: free minus the reserve, at least 1 (Snakemake
    reads 0 as no limit)."""
    place = Path(campaign.work)
    url = engine_url(campaign.containers.engine)
    if campaign.runtime == "docker" and url.startswith("unix://"):
        # Without an engine the jobs that need it say so.
        with suppress(OSError, ValueError, LookupError):
            place = layers.folder(watchdog.info(url.removeprefix("unix://")))
    return max(1, disk.measure(place).free // MB - campaign.disk.reserve_mb)


def image_mb(campaign: Campaign, commit: str, arm: str) -> int:
    """Return what an arm's image takes, MiB: as measured, or by the recipe's estimate."""
    spec = campaign.tasks[commit]
    if spec.recipe is None:
        return TREE_MB
    return 1 + need(Path(campaign.results), spec.subject.name, spec.recipe, arm) // MB


def commit_mb(campaign: Campaign, commit: str) -> int:
    """Return what all arms of a commit take together, MiB; 0 for an excluded task."""
    if not campaign.gpus(commit):
        return 0
    return sum(image_mb(campaign, commit, arm) for arm in campaign.arms)
