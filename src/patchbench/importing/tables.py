"""Write the tables of an imported campaign."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Literal, NamedTuple

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

SHORT = 8  # characters of a commit that tell it apart
Status = Literal["measured", "failed", "pending"]


class Ending(Record, frozen=True, kw_only=True):
    """The end of one arm on one commit.

    ``format`` is the source of the metrics, ``place`` the record that the ending was read from, and
    ``recorded_ok`` what that record said: True for a success, None if there was none."""

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


class ListedTask(Record, frozen=True, kw_only=True):
    """One task, as far as it is known; the fields are columns of the table of tasks."""

    commit: str
    title: str | None = None
    type: BenchType | None = None
    parent: str | None = None
    parent_origin: str | None = None
    perf_command: str | None = None


class Imported(NamedTuple):
    """An imported campaign: titles of agents by arm, tasks, endings, number of files read."""

    agents: dict[str, str]
    tasks: list[ListedTask]
    endings: list[Ending]
    files: int = 1


def arm_name(title: str) -> str:
    """Return the arm of an agent: 'TRAE GPT-5' is trae-gpt-5."""
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-") or "agent"


def write(imported: Imported, folder: Path) -> None:
    """Write the tables of an imported campaign into a folder."""
    endings = [_attributed(ending) for ending in imported.endings]
    rows: dict[str, Iterable[dict[str, Any]]] = {
        "tasks": ({**msgspec.structs.asdict(t), "status": "planned"} for t in imported.tasks),
        "patches": (_patch(*pair) for pair in endings if pair[0].arm != BASELINE),
        "outcomes": (_outcome(*pair) for pair in endings),
        "runs": (row for ending in imported.endings for row in _runs(ending)),
        "comparisons": (),
    }
    for name, schema in SCHEMAS.items():
        table = pa.Table.from_pylist(list(rows[name]), schema=schema)
        collect.write(table, folder / f"{name}.parquet")


def _attributed(ending: Ending) -> tuple[Ending, GradedRun | None]:
    """Pair an ending with its failure, attributed without a baseline as control."""
    if ending.cause is None:
        return ending, None
    run = GradedRun(
        arm=ending.arm,
        block=1,
        position=0,
        status="failed",
        cause=ending.cause,
        stage=CAUSES[ending.cause].stage,
        evidence=ending.evidence,
    )
    return ending, attribute([run])[0]


def _outcome(ending: Ending, failure: GradedRun | None) -> dict[str, Any]:
    evidence = failure.evidence if failure else None
    return {
        "commit": ending.commit,
        "arm": ending.arm,
        "type": ending.type,
        "status": ending.status,
        "verdict": "not measured",
        "blocks_measured": int(ending.status == "measured"),
        "blocks_failed": int(ending.status == "failed" and ending.launched),
        "cause": failure and failure.cause,
        "blame": failure and failure.blame,
        "stage": failure and failure.stage,
        "evidence": evidence and evidence.text,
        "evidence_file": evidence and evidence.file,
        "evidence_line": evidence and evidence.line,
    }


def _patch(ending: Ending, failure: GradedRun | None) -> dict[str, Any]:
    """A patch failed if the failure is the patch's own; else it was good enough to be launched."""
    own = failure if ending.cause and ending.cause.startswith("patch.") else None
    row = {"commit": ending.commit, "arm": ending.arm, "source": ending.source or None}
    if ending.status == "pending":
        return row | {"status": "pending"}
    if own:
        return row | {"status": "failed", "stage": own.stage, "cause": own.cause}
    return row | {"status": "ok", "stage": "build_image"}


def _runs(ending: Ending) -> Iterator[dict[str, Any]]:
    """Yield one row per value; for a failed launch one row without a value."""
    if not ending.launched:
        return
    row = {
        "commit": ending.commit,
        "arm": ending.arm,
        "block": 1,
        "launched": True,
        "status": ending.status,
        "format": ending.format or None,
        "cause": ending.cause,
    }
    if not ending.metrics:
        yield row
    for name, value in sorted(ending.metrics.items()):
        unit, direction = METRICS[name].unit, METRICS[name].direction
        yield row | {"metric": name, "value": value, "unit": unit, "direction": direction}
