"""Write the tables of an imported campaign."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple

import msgspec

from patchbench.failures.attribution import attribute
from patchbench.failures.causes import CAUSES
from patchbench.parsing.names import METRICS
from patchbench.records import BASELINE, Evidence, GradedRun, Record
from patchbench.report.tables import collect
from patchbench.report.tables.columns import OutcomeRow, PatchRow, RunRow, TaskRow, table
from patchbench.subject import BenchType
from patchbench.verdicts.scores import MISSING

SHORT = 8  # characters of a commit that tell it apart
Status = Literal["measured", "failed", "pending"]


class Ending(Record, frozen=True, kw_only=True):
    """The end of one arm on one commit.

    ``format`` is the source of the metrics, ``place`` the record that the ending was read from, and
    ``recorded_ok`` the success or failure in that record, None without a record."""

    commit: str
    arm: str
    status: Status
    type: BenchType | None = None
    cause: str | None = None
    evidence: Evidence | None = None
    metrics: dict[str, float] = msgspec.field(default_factory=dict)
    format: str = ""
    source: str = ""
    place: str = ""
    recorded_ok: bool | None = None

    @property
    def launched(self) -> bool:
        """True if something was measured or failed, False for a missing patch or a gap."""
        return self.status != "pending" and self.cause != MISSING

    @property
    def corrected(self) -> bool:
        """True if the record said otherwise."""
        return self.recorded_ok is not None and self.recorded_ok != (self.status == "measured")


class Imported(NamedTuple):
    """An imported campaign: titles of agents by arm, tasks, endings, number of files read."""

    agents: dict[str, str]
    tasks: list[TaskRow]
    endings: list[Ending]
    files: int = 1


def arm_name(title: str) -> str:
    """Return the arm of an agent: 'TRAE GPT-5' is trae-gpt-5."""
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-") or "agent"


def write(imported: Imported, folder: Path) -> None:
    """Write the tables of an imported campaign into a folder."""
    rows: dict[str, list[Record]] = {
        "tasks": [*imported.tasks],
        "patches": [_patch(ending) for ending in imported.endings if ending.arm != BASELINE],
        "outcomes": [_outcome(ending) for ending in imported.endings],
        "runs": [row for ending in imported.endings for row in _runs(ending)],
        "comparisons": [],
    }
    for name in rows:
        collect.write(table(name, rows[name]), folder / f"{name}.parquet")


def _outcome(ending: Ending) -> OutcomeRow:
    """Return an outcome; its failure is attributed without a baseline as control."""
    outcome = OutcomeRow(
        commit=ending.commit,
        arm=ending.arm,
        type=ending.type,
        status=ending.status,
        blocks_measured=int(ending.status == "measured"),
        blocks_failed=int(ending.status == "failed" and ending.launched),
    )
    if ending.cause is None:
        return outcome
    run = GradedRun(
        arm=ending.arm,
        block=1,
        position=0,
        status="failed",
        cause=ending.cause,
        stage=CAUSES[ending.cause].stage,
        evidence=ending.evidence,
    )
    (failure,) = attribute([run])
    evidence = failure.evidence or Evidence(text="")
    return msgspec.structs.replace(
        outcome,
        cause=failure.cause,
        blame=failure.blame,
        stage=failure.stage,
        evidence=evidence.text or None,
        evidence_file=evidence.file or None,
        evidence_line=evidence.line,
    )


def _patch(ending: Ending) -> PatchRow:
    """Return a patch: failed if the failure is its own, else good enough to be launched."""
    own = ending.cause if ending.cause and ending.cause.startswith("patch.") else None
    pending = ending.status == "pending"
    return PatchRow(
        commit=ending.commit,
        arm=ending.arm,
        source=ending.source or None,
        status="pending" if pending else "failed" if own else "ok",
        stage=None if pending else CAUSES[own].stage if own else "build_image",
        cause=own,
    )


def _runs(ending: Ending) -> Iterator[RunRow]:
    """Yield one row per value; for a failed launch one row without a value."""
    if not ending.launched:
        return
    row = RunRow(
        commit=ending.commit,
        arm=ending.arm,
        block=1,
        launched=True,
        status=ending.status,
        format=ending.format or None,
        cause=ending.cause,
    )
    if not ending.metrics:
        yield row
    for name, value in sorted(ending.metrics.items()):
        unit, direction = METRICS[name].unit, METRICS[name].direction
        yield msgspec.structs.replace(row, metric=name, value=value, unit=unit, direction=direction)
