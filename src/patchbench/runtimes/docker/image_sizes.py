"""Sizes of images, measured or estimated."""

from __future__ import annotations

import functools
from contextlib import suppress
from pathlib import Path

import msgspec

from patchbench.plan.campaign import Campaign
from patchbench.records import BASELINE, Built
from patchbench.runtimes.docker import watchdog
from patchbench.subject import Recipe
from patchbench.system import disk
from patchbench.system.disk import MB

# A tree of the process runtime: small beside any reserve.
TREE_MB = 50
# An arm's layer beside its parent's, as long as none was measured.
ARM_SHARE = 10


def spare_mb(campaign: Campaign) -> int:
    """Space that images may take now, MiB: free minus the reserve, at least 1 (Snakemake reads 0 as
    no limit)."""
    from patchbench.runtimes.docker.labels import engine_url

    place = Path(campaign.work)
    url = engine_url(campaign.containers.engine)
    if campaign.runtime == "docker" and url.startswith("unix://"):
        # Without an engine the jobs that need it say so.
        with suppress(OSError, ValueError, LookupError):
            place = Path(watchdog.data_root(url.removeprefix("unix://")))
    return max(1, disk.measure(place).free // MB - campaign.disk.reserve_mb)


def image_mb(campaign: Campaign, commit: str, arm: str) -> int:
    """What an arm's image takes, MiB, measured or estimated."""
    spec = campaign.tasks[commit]
    if spec.recipe is None:
        return TREE_MB
    return 1 + need(Path(campaign.results), spec.subject.name, spec.recipe, arm) // MB


def need(results: Path, subject: str, recipe: Recipe, arm: str) -> int:
    """Bytes that an arm's image adds to its parent's (a baseline's to its base): what such images
    took so far at most, else the recipe's estimate."""
    measured = _measured(results, subject, _stamp(results))
    if measured is None:
        return recipe.disk_mb * MB // (1 if arm == BASELINE else ARM_SHARE)
    return measured[0 if arm == BASELINE else 1]


def _stamp(results: Path) -> int:
    folder = results / "images"
    return folder.stat().st_mtime_ns if folder.is_dir() else 0


@functools.lru_cache(maxsize=8)
def _measured(results: Path, subject: str, _stamp: int) -> tuple[int, int] | None:
    """The largest own sizes of parents' and arms' images, bytes, by the records; None before the
    first one."""
    parents, arms = [0], [0]
    for path in (results / "images").glob("*/*.json"):
        if path.name == "released.json":
            continue
        try:
            built = msgspec.json.decode(path.read_bytes(), type=Built)
        except (OSError, msgspec.MsgspecError):
            continue
        if f"/{subject}:" in built.image:
            (parents if built.arm == BASELINE else arms).append(built.own_size)
    return (max(parents), max(arms)) if max(parents) else None
