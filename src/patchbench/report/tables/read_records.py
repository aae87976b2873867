"""Read the records of a campaign that exist so far."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

import msgspec

from patchbench.grading.commit import arm_results, grade_commit
from patchbench.grading.run_folder import BLOCK_RECORD, block_folder, read_block
from patchbench.plan.campaign import Campaign
from patchbench.records import AA, Block, Built, Evidence, Fetched, Metrics, Task, Validated
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
        # An exclusion by the plan alone needs no record.
        task = _read(results / "tasks" / f"{commit}.json", Task)
        if task is None and campaign.tasks[commit].exclusion:
            task = campaign.tasks[commit]
        if task:
            records.tasks[commit] = task
        metrics = _read(results / "metrics" / f"{commit}.json", Metrics)
        # Measurements of another patch or task are not shown as results of this one.
        known = campaign.remembered_digests(commit)
        if metrics and metrics.digests and set(metrics.digests) <= known:
            records.metrics[commit] = moved(planned(campaign, metrics), results)
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


def planned(campaign: Campaign, metrics: Metrics) -> Metrics:
    """Return metrics without the launches and results of agents that were taken out of the
    configuration, and of blocks that were measured for them alone."""
    if set(metrics.digests) <= set(campaign.digests[metrics.commit]):
        return metrics
    blocks, arms = set(campaign.blocks), {AA, *campaign.arms}
    runs = [run for run in metrics.runs if run.block in blocks and run.arm in arms]
    answers = {arm.arm: arm.answers for arm in metrics.arms}
    results = arm_results(runs, campaign.arms, campaign.statistics.min_blocks, answers)
    return msgspec.structs.replace(metrics, runs=tuple(runs), arms=results)


def moved(metrics: Metrics, results: Path) -> Metrics:
    """Return metrics with the paths of launches below the present results folder: it may have been
    moved since they were written."""
    below = f"/runs/{metrics.commit}/"

    def here(path: str) -> str:
        _, found, rest = path.rpartition(below)
        return f"{results}{found}{rest}" if found else path

    def line(evidence: Evidence | None) -> Evidence | None:
        return evidence and msgspec.structs.replace(evidence, file=here(evidence.file))

    replace = msgspec.structs.replace
    runs = [replace(r, folder=here(r.folder), evidence=line(r.evidence)) for r in metrics.runs]
    arms = [
        replace(arm, log=arm.log and here(arm.log), evidence=line(arm.evidence))
        for arm in metrics.arms
    ]
    return replace(metrics, runs=tuple(runs), arms=tuple(arms))


def _blocks(campaign: Campaign, commit: str) -> list[Block]:
    """Return the finished blocks of a task under its present plan."""
    folders = [block_folder(Path(campaign.results), commit, n) for n in campaign.blocks]
    files = [file for folder in folders if (file := folder / BLOCK_RECORD).is_file()]
    blocks = map(read_block, files)
    return [block for block in blocks if block.digest in campaign.digests[commit]]
