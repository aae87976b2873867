"""The campaign's tables: typed Parquet files from which every number of the report comes.

Rows start from the plan, so nothing can drop out silently: what has no record yet is pending.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from patchbench.grading.commit import grade_commit
from patchbench.grading.run_folder import BLOCK_RECORD, block_folder
from patchbench.parsing.names import METRICS
from patchbench.plan.campaign import Campaign
from patchbench.records import BASELINE, HUMAN, Block, Built, Fetched, Metrics, Task, Validated
from patchbench.report.tables.columns import SCHEMAS
from patchbench.system.files import read_json, write_bytes
from patchbench.verdicts.comparisons import Comparison, compare_all, reproduced
from patchbench.verdicts.noise_floor import floors, value_of

T = TypeVar("T")

# Columns of the patches table that are fields of Validated as they stand.
QUALITY = ("hunks", "python_only", "tests_touched", "similarity", "prompt_overlap")


# Columns of the runs table that a run's provenance has where a GPU could be asked.
GPU_TEXTS = ("gpu_model", "gpu_driver", "gpu_throttle")
GPU_FIGURES = (
    *("gpu_working", "gpu_sm_mhz", "gpu_memory_mhz", "gpu_power_w", "gpu_temperature_c"),
    "gpu_memory_mib",
)


class Found(msgspec.Struct):
    """All records that exist so far. ``partly`` are tasks of which some blocks are measured: their
    launches are shown, and nothing is concluded from them yet."""

    tasks: dict[str, Task]
    metrics: dict[str, Metrics]
    partly: dict[str, Metrics]
    fetched: dict[tuple[str, str], Fetched]
    validated: dict[tuple[str, str], Validated]
    built: dict[tuple[str, str], Built]


def _read(path: Path, type_: type[T]) -> T | None:
    """A record, or None if it isn't there yet; one that can't be read stops with its name."""
    return read_json(path, type_) if path.is_file() else None


def collect(campaign: Campaign) -> Found:
    """Read every record that the plan asks for and that exists."""
    results = Path(campaign.results)
    found = Found({}, {}, {}, {}, {}, {})
    for commit in campaign.commits:
        if task := _read(results / "tasks" / f"{commit}.json", Task):
            found.tasks[commit] = task
        metrics = _read(results / "metrics" / f"{commit}.json", Metrics)
        # What was measured of another patch or task is not shown as this one's result.
        if metrics and metrics.digests and set(metrics.digests) <= set(campaign.digests[commit]):
            found.metrics[commit] = metrics
        elif task and (blocks := _blocks(campaign, commit)):
            found.partly[commit] = grade_commit(
                task, blocks, campaign.arms, campaign.statistics.min_blocks
            )
        for arm in campaign.arms:
            key, folder = (commit, arm), results / "patches" / commit / arm
            if fetched := _read(folder / "fetch.json", Fetched):
                found.fetched[key] = fetched
            if validated := _read(folder / "validation.json", Validated):
                found.validated[key] = validated
            if built := _read(results / "images" / commit / f"{arm}.json", Built):
                found.built[key] = built
    return found


def _blocks(campaign: Campaign, commit: str) -> list[Block]:
    """Finished blocks of a task, as it is planned now."""
    folders = [block_folder(Path(campaign.results), commit, n) for n in campaign.blocks]
    read = [_read(folder / BLOCK_RECORD, Block) for folder in folders]
    return [block for block in read if block and block.digest in campaign.digests[commit]]


def tables(campaign: Campaign) -> dict[str, pa.Table]:
    """All tables of a campaign, from the records that exist."""
    found = collect(campaign)
    usable = {c: m for c, m in found.metrics.items() if c in found.tasks}
    noise = floors(found.tasks, usable, campaign.statistics.min_floor)
    compared = compare_all(found.tasks, usable, campaign.agents, campaign.statistics, noise)
    primary = {(c.commit, c.arm): c for c in compared if c.role == "primary"}
    rows: dict[str, list[dict[str, Any]]] = {
        "tasks": [
            _task_row(campaign, found, commit)
            | _reference(found, primary.get((commit, HUMAN)), commit)
            for commit in campaign.commits
        ],
        "patches": [
            _patch_row(found, commit, arm)
            for commit in campaign.commits
            for arm in campaign.patched_arms
        ],
        "runs": [
            row
            for commit, metrics in (usable | found.partly).items()
            for row in _run_rows(found.tasks[commit], metrics)
        ],
        "outcomes": [
            _outcome_row(found, primary.get((commit, arm)), commit, arm)
            for commit in campaign.commits
            for arm in campaign.arms
        ],
        "comparisons": [
            msgspec.to_builtins(c) | {"unit": METRICS[c.metric].unit} for c in compared
        ],
    }
    assert_closed(campaign, rows["outcomes"])
    return {
        name: pa.Table.from_pylist(rows[name], schema=schema) for name, schema in SCHEMAS.items()
    }


def _task_row(campaign: Campaign, found: Found, commit: str) -> dict[str, Any]:
    spec, task = campaign.tasks[commit], found.tasks.get(commit)
    row: dict[str, Any] = {
        "commit": commit,
        "title": spec.title,
        "subject": spec.subject.name,
        "perf_command": spec.perf_command,
        "status": "pending",
    }
    if task is None:
        return row
    return row | {
        "type": task.workload.type if task.workload else None,
        "parent": task.parent,
        "parent_origin": task.parent_origin,
        "primary_metric": task.primary_metric,
        "workload_id": task.workload_id,
        "status": "excluded" if task.exclusion else "planned",
        "exclusion": task.exclusion.reason if task.exclusion else None,
        "exclusion_evidence": task.exclusion.evidence if task.exclusion else None,
        "warnings": "; ".join((*task.warnings, *task.contradictions)) or None,
    }


def _reference(found: Found, human: Comparison | None, commit: str) -> dict[str, Any]:
    """Whether the human's commit showed its gain here. A task on which it did not is kept, and
    marked: what agents did there says little of them."""
    metrics = found.metrics.get(commit)
    if metrics is None or commit not in found.tasks or found.tasks[commit].exclusion:
        return {}
    if human is None:
        return {"reference": "not measured"}
    return {"reference": "reproduced" if reproduced(human) else "not reproduced"}


def _patch_row(found: Found, commit: str, arm: str) -> dict[str, Any]:
    key = (commit, arm)
    fetched, validated, built = (
        found.fetched.get(key),
        found.validated.get(key),
        found.built.get(key),
    )
    row: dict[str, Any] = {"commit": commit, "arm": arm, "status": "pending"}
    if fetched:
        path = fetched.candidates[0].path if fetched.candidates else None
        row |= {
            "source": fetched.source,
            "path": path,
            "sha256": fetched.sha256,
            "size": fetched.size,
            "why_missing": fetched.why_missing,
            "conflict": fetched.conflict,
        }
    if validated:
        row |= {
            "measured_sha256": validated.patch_sha256,
            "files": len(validated.files),
            "lines_added": validated.lines_added,
            "lines_removed": validated.lines_removed,
            "normalised": "; ".join(validated.normalised) or None,
            "stripped": "; ".join(validated.stripped) or None,
            "flags": "; ".join(validated.flags) or None,
            "warnings": "; ".join(validated.warnings) or None,
            **{name: getattr(validated, name) for name in QUALITY},
        }
    if built:
        row["build_seconds"] = built.seconds
    last = built or validated or fetched
    if last:
        row |= {
            "status": last.status,
            "stage": last.stage,
            "cause": last.cause,
            "evidence": last.evidence.text if last.evidence else None,
        }
    return row


def _run_rows(task: Task, metrics: Metrics) -> Iterable[dict[str, Any]]:
    for run in metrics.runs:
        where = run.provenance
        versions = {k.partition(".")[2]: v for k, v in where.items() if k.startswith("version.")}
        base = {
            "commit": task.commit,
            "workload_id": task.workload_id,
            "evidence": run.evidence.text if run.evidence and run.cause else None,
            "evidence_file": run.evidence.file if run.evidence and run.cause else None,
            "evidence_line": run.evidence.line if run.evidence and run.cause else None,
            "host": where.get("host"),
            "node": where.get("node"),
            "slurm_job": where.get("slurm_job") or None,
            "runtime": where.get("runtime"),
            "gpu_slot": where.get("gpu_slot"),
            "load_1min": where.get("load_1min"),
            "versions": ", ".join(f"{k} {v}" for k, v in versions.items()) or None,
            **{name: where.get(name) or None for name in GPU_TEXTS},
            **{name: float(where[name]) for name in GPU_FIGURES if name in where},
            **{
                name: getattr(run, name)
                for name in (
                    "arm",
                    "block",
                    "position",
                    "launched",
                    "status",
                    "format",
                    "stage",
                    "cause",
                    "blame",
                    "agreement",
                    "started",
                    "ended",
                    "folder",
                    "image",
                    "patch_sha256",
                )
            },
        }
        if not run.metrics:
            yield base
        for name in sorted(run.metrics):
            metric = METRICS[name]
            windows = [window[name] for window in run.windows if name in window]
            yield base | {
                "metric": name,
                "value": value_of(run, name),
                "unit": metric.unit,
                "direction": metric.direction,
                "windows": windows or None,
            }


def _outcome_row(found: Found, primary: Comparison | None, commit: str, arm: str) -> dict[str, Any]:
    task, metrics = found.tasks.get(commit), found.metrics.get(commit)
    row: dict[str, Any] = {
        "commit": commit,
        "arm": arm,
        "type": task.workload.type if task and task.workload else None,
        "status": "pending",
        "verdict": "not measured",
        "blocks_measured": 0,
        "blocks_failed": 0,
    }
    if commit in found.partly:
        so_far = [r for r in found.partly[commit].arms if r.arm == arm]
        return row | {
            "blocks_measured": sum(result.blocks_measured for result in so_far),
            "blocks_failed": sum(result.blocks_failed for result in so_far),
        }
    result = next((r for r in metrics.arms if r.arm == arm), None) if metrics else None
    if result is None:
        return row
    row |= {
        "status": result.status,
        "stage": result.stage,
        "cause": result.cause,
        "blame": result.blame,
        "log": result.log,
        "blocks_measured": result.blocks_measured,
        "blocks_failed": result.blocks_failed,
    }
    if result.evidence:
        row |= {
            "evidence": result.evidence.text,
            "evidence_file": result.evidence.file,
            "evidence_line": result.evidence.line,
        }
    if result.cause == "bench.wrong_output":
        row["verdict"] = "wrong output"
    if primary:
        row |= {
            "verdict": primary.verdict,
            "at_least_human": primary.at_least_human,
            "review": primary.review,
        }
    return row


class Inconsistent(Exception):
    """Two numbers that must agree don't: nothing may be written from them."""


def assert_closed(campaign: Campaign, outcomes: list[dict[str, Any]]) -> None:
    """planned = measured + failed + excluded + pending for every arm; every failure has a cause
    and a blame. Raises Inconsistent with the numbers that disagree."""
    rows = sorted((row["commit"], row["arm"]) for row in outcomes)
    planned = sorted((commit, arm) for commit in campaign.commits for arm in campaign.arms)
    if rows != planned:
        wrong = next(iter({*rows} ^ {*planned}), "a row stands twice")
        raise Inconsistent(f"{len(planned)} outcomes planned, {len(rows)} there: {wrong}")
    for arm in (BASELINE, HUMAN, *campaign.agents):
        mine = [row for row in outcomes if row["arm"] == arm]
        kinds = ("measured", "failed", "excluded", "pending")
        counted = {kind: sum(row["status"] == kind for row in mine) for kind in kinds}
        if sum(counted.values()) != len(campaign.commits):
            raise Inconsistent(f"{arm}: {len(campaign.commits)} planned, but {counted}")
    bare = [
        f"{row['commit'][:8]} {row['arm']}"
        for row in outcomes
        if row["status"] == "failed" and not (row["cause"] and row["blame"])
    ]
    if bare:
        raise Inconsistent(f"failed without cause or blame: {', '.join(bare)}")


def write(table: pa.Table, path: Path) -> None:
    """Write a table as Parquet, atomically."""
    data = pa.BufferOutputStream()
    pq.write_table(table, data, compression="zstd")
    write_bytes(path, data.getvalue().to_pybytes())
