"""One patch's end as an import knows it, and the campaign's tables made of many."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec
import pyarrow as pa

from patchbench.failures.attribution import attribute
from patchbench.failures.causes import CAUSES
from patchbench.parsing.names import METRICS
from patchbench.records import BASELINE, Evidence, GradedRun, Record
from patchbench.report.tables import collect
from patchbench.report.tables.columns import SCHEMAS
from patchbench.subject import BenchType
from patchbench.verdicts.scores import MISSING

Status = Literal["measured", "failed", "missing", "pending", "excluded"]


class Found(Record, frozen=True, kw_only=True):
    """How one arm ended on one commit. ``format`` says what its metrics were read from."""

    commit: str
    arm: str
    status: Status
    type: BenchType | None = None
    cause: str | None = None
    evidence: Evidence | None = None
    metrics: dict[str, float] = msgspec.field(default_factory=dict)
    format: str = ""
    source: str = ""


class Listed(Record, frozen=True, kw_only=True):
    """One task, as far as it is known."""

    commit: str
    title: str = ""
    type: BenchType | None = None
    parent: str | None = None
    perf_command: str = ""
    origin: str = ""
    exclusion: str = ""
    exclusion_evidence: str = ""


def arm_of(title: str) -> str:
    """An agent's arm from its title: 'TRAE GPT-5' is trae-gpt-5."""
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-") or "agent"


def charged(found: Found) -> GradedRun:
    """A failure with its blame. Nothing imported was paired, so no baseline can be a control: what
    a launch shows is charged to no agent, and what all arms share stays the task's."""
    run = GradedRun(
        arm=found.arm,
        block=1,
        position=0,
        status="failed",
        cause=found.cause,
        stage=CAUSES[found.cause or "unknown"].stage,
        evidence=found.evidence,
    )
    return attribute([run])[0]


def write(found: Sequence[Found], listed: Iterable[Listed], folder: Path) -> None:
    """Write the tables of an import into a folder."""
    rows = {
        "tasks": [_task(task) for task in listed],
        "patches": [_patch(row) for row in found if row.arm != BASELINE],
        "outcomes": [_outcome(row) for row in found],
        "runs": [value for row in found for value in _values(row)],
        "comparisons": [],
    }
    for name, schema in SCHEMAS.items():
        collect.write(pa.Table.from_pylist(rows[name], schema=schema), folder / f"{name}.parquet")


def _task(task: Listed) -> dict[str, Any]:
    return {
        "commit": task.commit,
        "title": task.title or None,
        "type": task.type,
        "parent": task.parent,
        "parent_origin": task.origin if task.parent else None,
        "perf_command": task.perf_command or None,
        "status": "excluded" if task.exclusion else "planned",
        "exclusion": task.exclusion or None,
        "exclusion_evidence": task.exclusion_evidence or None,
    }


def _outcome(found: Found) -> dict[str, Any]:
    row: dict[str, Any] = {
        "commit": found.commit,
        "arm": found.arm,
        "type": found.type,
        "status": "failed" if found.status == "missing" else found.status,
        "verdict": "not measured",
        "blocks_measured": int(found.status == "measured"),
        "blocks_failed": int(found.status == "failed"),
    }
    if found.status == "missing":
        return row | {"cause": MISSING, "blame": "agent", "stage": "fetch_patch"}
    if found.status == "failed":
        run = charged(found)
        row |= {"cause": run.cause, "blame": run.blame, "stage": run.stage}
        if run.evidence:
            row |= {"evidence": run.evidence.text, "evidence_file": run.evidence.file}
            row |= {"evidence_line": run.evidence.line}
    return row


def _patch(found: Found) -> dict[str, Any]:
    row: dict[str, Any] = {"commit": found.commit, "arm": found.arm, "source": found.source or None}
    if found.status == "missing":
        return row | {"status": "failed", "stage": "fetch_patch", "cause": MISSING}
    if found.status == "pending":
        return row | {"status": "pending"}
    refused = found.status == "failed" and str(found.cause).startswith("patch.")
    return row | {
        "status": "failed" if refused else "ok",
        "stage": CAUSES[found.cause].stage if refused and found.cause else "build_image",
        "cause": found.cause if refused else None,
    }


def _values(found: Found) -> list[dict[str, Any]]:
    """A row per value; one without a value for a launch that failed."""
    if found.status not in ("measured", "failed"):
        return []
    base: dict[str, Any] = {
        "commit": found.commit,
        "arm": found.arm,
        "block": 1,
        "launched": True,
        "status": found.status,
        "format": found.format or None,
        "cause": found.cause,
    }
    return [
        base
        | {
            "metric": name,
            "value": value,
            "unit": METRICS[name].unit,
            "direction": METRICS[name].direction,
        }
        for name, value in sorted(found.metrics.items())
    ] or [base]
