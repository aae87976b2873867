"""Recorded runs judged anew from their raw output: whether there is a result in it, and if not,
what happened and where it says so."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import msgspec

from patchbench.errors import BadInput
from patchbench.importing import result_file
from patchbench.importing.ended import Found
from patchbench.importing.formats import Result
from patchbench.importing.result_file import AGENT, ERRORS, OldResult
from patchbench.parsing import detect, grade
from patchbench.parsing.grade import Grade
from patchbench.records import Evidence
from patchbench.system.files import write_bytes

RAW = "raw"
RE_READ, AS_RECORDED = "text", "recorded"


class Judged(NamedTuple):
    """A run's end, and what its record said: whether it had been called a success."""

    found: Found
    recorded_ok: bool
    error: str
    place: str

    @property
    def corrected(self) -> bool:
        """Whether the record said otherwise."""
        return self.recorded_ok != (self.found.status == "measured")


def judge(result: Result, agent: str, out: Path) -> Judged:
    """A run's end. Its raw output is written below ``out``, so that evidence can be looked up."""
    arm = agent if result.arm == AGENT else result.arm
    # Two agents' campaigns may each have a baseline of one commit.
    log = out / RAW / agent / f"{result.commit[:8]}-{result.arm}.log"
    if result.log:
        write_bytes(log, result.log.encode("utf-8", "replace"))
    old = OldResult(
        path=log if result.log else Path(result.place),
        commit=result.commit,
        arm=result.arm,
        status="success" if result.ok else "error",
        error=result.error,
        lines=tuple(result.log.split("\n")),
    )
    common = Found(commit=result.commit, arm=arm, status="measured", source=f"results of {agent}")
    ended = _failed(result, old) if result.arm == AGENT and _refused(old) else None
    ended = ended or _measured(result, old, log) or _failed(result, old)
    found = msgspec.structs.replace(common, **ended)
    return Judged(found, result.ok, result.error, result.place)


def _refused(old: OldResult) -> bool:
    """Whether there was nothing to measure in the patch, whatever was measured then."""
    return result_file.patch_state(old.lines) is not None


def _measured(result: Result, old: OldResult, log: Path) -> dict[str, object] | None:
    """The run's metrics, if there are any: read again, or as they were recorded where the raw
    output holds none (it may be cut off, or not kept). A run that ended with anything but a
    success or missing metrics is none, whatever stands in its log."""
    lost = next((cause for said, cause in ERRORS if said.search(result.error)), None)
    if not result.ok and lost != "bench.no_metrics":
        return None
    read = _read(old, log)
    if read is not None and read.cause is None:
        type_ = read.type or result.type
        return {"metrics": dict(read.metrics), "format": RE_READ, "type": type_}
    nothing = read is None or read.cause == "bench.no_metrics"
    if result.ok and nothing and result.values and result.type:
        return {"metrics": result.values, "format": AS_RECORDED, "type": result.type}
    return None


def _read(old: OldResult, log: Path) -> Grade | None:
    if not any(old.lines):
        return None
    data = "\n".join(old.lines).encode("utf-8", "replace")
    output = grade.Output(grade.Log(str(log), lambda: [(1, data)]))
    said = detect.read_any(output.stdout)
    return grade.decide(output, said, detect.type_of(said, None))


def _failed(result: Result, old: OldResult) -> dict[str, object]:
    """What happened. A recorded success without a result in it is the record's mistake."""
    # That there is a result in the log is no cause here: it is a result of something else.
    causes = [
        found
        for found in result_file.causes(old._replace(status="error"))
        if found[0] != "harness.misread"
    ]
    if result.ok and not _refused(old):
        at = Evidence(text="recorded as a success without metrics", file=result.place)
        return {"status": "failed", "cause": "harness.misread", "evidence": at}
    cause, evidence = causes[0]
    file, _, part = evidence.file.partition("#")
    file = file if part == "raw_output" else result.place
    evidence = msgspec.structs.replace(evidence, file=file)
    return {"status": "failed", "cause": cause, "evidence": evidence, "type": result.type}


def one_each(judged: Iterable[Judged]) -> list[Judged]:
    """One end per commit and arm. The baseline and the human's commit may stand in several
    agents' folders: one that was measured stands for all. Raises BadInput where one agent has two
    results of one commit."""
    kept: dict[tuple[str, str], Judged] = {}
    for row in judged:
        key = (row.found.commit[:8], row.found.arm)
        before = kept.get(key)
        if before is None:
            kept[key] = row
        elif row.found.arm not in result_file.ARMS:
            raise BadInput(
                f"{row.place}: {row.found.arm} has another result of {key[0]}: {before.place} | "
                "next: leave one of them out"
            )
        elif row.found.status == "measured" and before.found.status != "measured":
            kept[key] = row
    return list(kept.values())
