"""Records that no longer fit the plan. ``snakemake --touch`` would give them new times and note the
plan of today for them, and no later run would make them again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

import msgspec

from patchbench.grading.run_folder import BLOCK_RECORD, block_folder
from patchbench.ledger.blocks import cohort_of
from patchbench.patches.sources import MISSING
from patchbench.plan.campaign import Campaign
from patchbench.records import Block, Fetched, Task
from patchbench.workflow import record_paths

T = TypeVar("T")

# Fields of a task that are as they were planned; the others are resolved.
PLANNED = (
    "title", "subject", "perf_command", "primary_metric", "guard_metrics", "protocol", "runtime",
)  # fmt: skip
GIT = "git:"


def stale(campaign: Campaign) -> Iterator[str]:
    """Yield the paths of records that were made for another task, patch or plan than today's."""
    for commit, spec in campaign.tasks.items():
        path = Path(record_paths.task(campaign.results, commit))
        task = _read(path, Task)
        if task and any(getattr(task, name) != getattr(spec, name) for name in PLANNED):
            yield str(path)
        for arm in campaign.agents:
            path = Path(record_paths.patch(campaign.results, commit, arm, "fetch.json"))
            fetched = _read(path, Fetched)
            if fetched and not _is_of(fetched, campaign.members[arm].fingerprints[commit]):
                yield str(path)
        for number in campaign.blocks:
            path = block_folder(Path(campaign.results), commit, number) / BLOCK_RECORD
            block = _read(path, Block)
            if block and block.digest != campaign.block_digest(commit, cohort_of(number)):
                yield str(path)


def _is_of(fetched: Fetched, fingerprint: str) -> bool:
    """Return True if a record is of the patch with this fingerprint (of a commit in a repository
    only its block's digest tells)."""
    if fingerprint.startswith(GIT):
        return True
    return (fetched.sha256 or MISSING)[: len(fingerprint)] == fingerprint


def _read(path: Path, kind: type[T]) -> T | None:
    """Return a record, or None without one that can be read."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except (OSError, msgspec.MsgspecError):
        return None
