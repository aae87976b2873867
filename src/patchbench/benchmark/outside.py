"""Faults of the machine as they are seen from outside of a launch: by the disks' figures, the
kernel's log, the GPU's driver, and the task's own arms in the same block. Nothing that a patch
prints gets in here."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import datetime
from pathlib import Path

from patchbench.benchmark.context import BlockContext
from patchbench.failures.attribution import OWN_ARMS
from patchbench.failures.signatures import Origin, in_lines
from patchbench.ledger import journal, machine_faults
from patchbench.system import disk, gpu_driver, kernel_log

# With less free space than this the disk itself is full, whichever arm ran.
SCARCE_BYTES = 500 * 2**20
# A temporary folder may be small at all times: with less it is full.
FULL_BYTES = 16 * 2**20
# Memory of a launch that has just ended is given back within this time.
RELEASE_SECONDS = 3.0


def seen(
    context: BlockContext, arm: str, suspected: Collection[str], gpus: Sequence[str], since: float
) -> dict[str, str]:
    """Return the faults of the machine during a failed launch that began at ``since`` (seconds
    since the machine's start), by cause. Only ``suspected`` ones are asked for that take time."""
    places = [context.results, Path(context.task.work), *context.runtime.disks()]
    # Without a sandbox, arms write to the machine's temporary folder.
    shared = [Path(tempfile.gettempdir())] if context.runtime.name == "process" else []
    return {
        **_of_own_arms(context, arm, suspected),
        **dict(_of_disks(places, SCARCE_BYTES)),
        **dict(_of_disks(shared, FULL_BYTES)),
        **(_of_gpus(gpus, suspected) if gpus else {}),
        **_of_kernel(kernel_log.lines(since)),
    }


def uptime() -> float:
    """Return the seconds since the machine's start, by the clock of the kernel's log."""
    return time.clock_gettime(time.CLOCK_MONOTONIC)


def is_scarce(places: Iterable[Path]) -> bool:
    """Return True if a disk is as good as full."""
    return min(disk.measure(place).free for place in places) < SCARCE_BYTES


def _of_own_arms(context: BlockContext, arm: str, suspected: Collection[str]) -> dict[str, str]:
    """Return the suspected faults that struck the baseline or the human in this block and in this
    run of the pipeline."""
    began = machine_faults.began(context.results)
    faults = {
        event.cause: f"the {event.arm} of this block had it, too"
        for event in journal.spoilt_launches(context.events(), context.digest)
        if event.arm in OWN_ARMS
        and event.arm != arm
        and datetime.fromisoformat(event.at).timestamp() > began
    }
    return {cause: text for cause, text in faults.items() if cause in suspected}


def _of_disks(places: Iterable[Path], scarce: int) -> Iterator[tuple[str, str]]:
    for place in places:
        try:
            figures = os.statvfs(place)
        except OSError:
            continue
        free = figures.f_bavail * figures.f_frsize
        if free < scarce:
            yield "infra.disk_full", f"{place}: {free / 2**20:.0f} MiB are free"
        elif figures.f_files and not figures.f_favail:
            yield "infra.disk_full", f"{place}: no inode is free"
        if figures.f_flag & os.ST_RDONLY:
            yield "infra.read_only", f"{place}: its file system is mounted read-only"


def _of_gpus(gpus: Sequence[str], suspected: Collection[str]) -> dict[str, str]:
    faults = {}
    if text := next(filter(None, map(gpu_driver.why_broken, gpus)), None):
        faults["infra.gpu"] = text
    if "infra.gpu_dirty" in suspected:
        time.sleep(RELEASE_SECONDS)
        if text := next(filter(None, map(gpu_driver.why_not_free, gpus)), None):
            faults["infra.gpu_dirty"] = text
    return faults


def _of_kernel(lines: Iterable[str]) -> dict[str, str]:
    """Return what the kernel reported of the GPUs and disks. Kills for want of memory are not
    among it: an arm may have taken that memory itself."""
    found = in_lines(lines, Origin(writer="any"))
    return {cause: f"the kernel's log: {line.text}" for cause, line in found if cause in KERNELS}


KERNELS = ("infra.gpu", "infra.disk_error", "infra.read_only")
