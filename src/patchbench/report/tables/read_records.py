"""Read the records of a campaign that exist so far."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

import msgspec

from patchbench.grading.commit import grade_commit
from patchbench.grading.run_folder import BLOCK_RECORD, block_folder
from patchbench.plan.campaign import Campaign
from patchbench.records import Block, Built, Fetched, Metrics, Task, Validated
from patchbench.system.files import read_json

T = TypeVar("T")


class Records(msgspec.Struct):
    """All records by commit, or by commit and arm. ``partly`` are tasks with some measured blocks:
    their launches are shown, and nothing is concluded from them yet."""

    tasks: dict[str, Task]
    metrics: dict[str, Metrics]
    partly: dict[str, Metrics]
    fetched: dict[tuple[str, str], Fetched]
    validated: dict[tuple[str, str], Validated]
    built: dict[tuple[str, str], Built]


def _read(path: Path, type_: type[T]) -> T | None:
    """Return a record, or None if there is none yet. Raises BadInput if it can't be read."""
    return read_json(path, type_) if path.is_file() else None


def read_records(campaign: Campaign) -> Records:
    """Return every planned record that exists."""
    results = Path(campaign.results)
    records = Records({}, {}, {}, {}, {}, {})
    for commit in campaign.commits:
        if task := _read(results / "tasks" / f"{commit}.json", Task):
            records.tasks[commit] = task
        metrics = _read(results / "metrics" / f"{commit}.json", Metrics)
        # Measurements of another patch or task are not shown as results of this one.
        if metrics and metrics.digests and set(metrics.digests) <= set(campaign.digests[commit]):
            records.metrics[commit] = metrics
        elif task and (blocks := _blocks(campaign, commit)):
            records.partly[commit] = grade_commit(
                task, blocks, campaign.arms, campaign.statistics.min_blocks
            )
        for arm in campaign.arms:
            key, folder = (commit, arm), results / "patches" / commit / arm
            if fetched := _read(folder / "fetch.json", Fetched):
                records.fetched[key] = fetched
            if validated := _read(folder / "validation.json", Validated):
                records.validated[key] = validated
            if built := _read(results / "images" / commit / f"{arm}.json", Built):
                records.built[key] = built
    return records


def _blocks(campaign: Campaign, commit: str) -> list[Block]:
    """Return the finished blocks of a task under its present plan."""
    folders = [block_folder(Path(campaign.results), commit, n) for n in campaign.blocks]
    read = [_read(folder / BLOCK_RECORD, Block) for folder in folders]
    return [block for block in read if block and block.digest in campaign.digests[commit]]
