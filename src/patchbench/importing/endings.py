"""Decide the ending of each recorded run from its raw output."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec

from patchbench.errors import BadInput
from patchbench.importing import diagnosis
from patchbench.importing.formats import AGENT, ARMS, Run
from patchbench.importing.tables import SHORT, Ending
from patchbench.records import Evidence
from patchbench.system.files import write_bytes

RAW = "raw"
FROM_LOG, FROM_RECORD = "text", "recorded"


def ending_of(run: Run, agent: str, out: Path) -> Ending:
    """Return the ending of a run. Its raw output is written below ``out`` as evidence."""
    # Each of two agents' folders may hold a baseline of the same commit.
    log = out / RAW / agent / f"{run.commit[:SHORT]}-{run.arm}.log"
    if run.log:
        write_bytes(log, run.log.encode("utf-8", "replace"))
    ending = Ending(
        commit=run.commit,
        arm=agent if run.arm == AGENT else run.arm,
        status="failed",
        type=run.type,
        source=f"results of {agent}",
        place=run.place,
        recorded_ok=run.ok,
    )
    patch = diagnosis.patch_failure(run, str(log)) if run.arm == AGENT else None
    measured = None if patch else _measured(run, str(log))
    if measured:
        return msgspec.structs.replace(ending, status="measured", **measured)
    if not run.ok:
        cause, evidence = diagnosis.causes(run, str(log), run.place)[0]
    elif patch:
        cause, evidence = patch
    else:
        cause = "harness.misread"
        evidence = Evidence(text="recorded as a success without metrics", file=run.place)
    return msgspec.structs.replace(ending, cause=cause, evidence=evidence)


def _measured(run: Run, log: str) -> dict[str, Any] | None:
    """Return the metrics in the raw output or, if it holds none (it may be cut off), those in the
    record. None if the run failed with anything but missing metrics."""
    if not run.ok and diagnosis.error_cause(run.error) != "bench.no_metrics":
        return None
    graded = diagnosis.regrade(run, log)
    if graded and graded.cause is None:
        type_ = graded.type or run.type
        return {"metrics": dict(graded.metrics), "format": FROM_LOG, "type": type_}
    empty = graded is None or graded.cause == "bench.no_metrics"
    if run.ok and empty and run.values and run.type:
        return {"metrics": run.values, "format": FROM_RECORD}
    return None


def one_each(endings: Iterable[Ending]) -> list[Ending]:
    """Return one ending per commit and arm. If the folders of several agents hold the same baseline
    or human, a measured one is taken. Raises BadInput if one agent has two results of a commit."""
    chosen: dict[tuple[str, str], Ending] = {}
    for ending in endings:
        key = (ending.commit[:SHORT], ending.arm)
        earlier = chosen.setdefault(key, ending)
        if earlier is ending:
            continue
        if ending.arm not in ARMS:
            raise BadInput(
                f"{ending.place}: {ending.arm} has another result of {key[0]}: {earlier.place} | "
                "next: leave one of them out"
            )
        if ending.status == "measured" and earlier.status != "measured":
            chosen[key] = ending
    return list(chosen.values())
