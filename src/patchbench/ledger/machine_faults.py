"""Faults of the machine in this run, the invocation that they belong to, and a wish that it ends.

All of it stands in the results folder, where jobs on other machines write and read too.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

import msgspec

from patchbench.errors import InfraFault, Stopped
from patchbench.ledger import journal
from patchbench.records import Record
from patchbench.system import slurm
from patchbench.system.files import append_line, read_lines
from patchbench.system.processes import Checks

# The id of a job's invocation: a job that waited in a cluster's queue may outlive the invocation.
INVOCATION = "PATCHBENCH_INVOCATION"
LOG, RUN, STOP = "faults.jsonl", "run.json", "stop.json"
SCHEDULER = "scheduler"


class ThisRun(Record, frozen=True, kw_only=True):
    """The invocation that works on a results folder; ``scheduler`` is its process's identity, on
    the machine ``host``. ``breaker`` is how many equal faults in a row end it; 0 is never."""

    id: str
    scheduler: str
    breaker: int = 0
    host: str = ""


class StopWish(Record, frozen=True, kw_only=True):
    """``results/stop.json``: the run with this id starts nothing more. ``by`` names the job that
    wishes this, or is SCHEDULER after a person's signal."""

    run: str
    by: str
    why: str


class FaultEvent(Record, frozen=True, kw_only=True):
    """One line of ``results/faults.jsonl``: a job that ended with a fault of the machine, or (with
    an empty cause) one that went well. ``job`` is its id if Slurm ran it."""

    at: str
    run: str
    cause: str
    commit: str
    stage: str
    text: str = ""
    job: str = ""


def wish(results: Path) -> StopWish | None:
    """Return a job's wish that a run ends, or None."""
    try:
        return msgspec.json.decode((results / STOP).read_bytes(), type=StopWish)
    except (OSError, msgspec.MsgspecError):
        return None


class Waiting:
    """The guard of a job that waits for its turn. Such a job loses nothing, so it ends if its run
    starts nothing more."""

    def __init__(self, guard: Checks, results: Path) -> None:
        self.guard, self.results = guard, results

    def check(self) -> None:
        """Raise Stopped if the job or its run was told to end."""
        self.guard.check()
        stop = wish(self.results)
        if stop is not None and stop.run == os.environ.get(INVOCATION):
            raise Stopped("the run was told to end before this job's turn came")


def current(results: Path) -> ThisRun | None:
    """Return the run that works on a results folder, or None for a script started by hand."""
    try:
        return msgspec.json.decode((results / RUN).read_bytes(), type=ThisRun)
    except (OSError, msgspec.MsgspecError):
        return None


def began(results: Path) -> float:
    """Return the start of the present run, seconds since the epoch; 0 for a script started by
    hand."""
    path = results / RUN
    return path.stat().st_mtime if path.is_file() else 0.0


def events(results: Path) -> list[FaultEvent]:
    """Return all whole events, oldest first."""
    return read_lines(results / LOG, FaultEvent)


def struck(results: Path) -> set[str]:
    """Return the commits of which the last job in this run ended with a fault."""
    run = current(results)
    last: dict[str, str] = {}
    for event in events(results):
        if run is not None and event.run == run.id:
            last[event.commit] = event.cause
    return {commit for commit, cause in last.items() if cause}


def row(faults: list[FaultEvent], run: str) -> list[FaultEvent]:
    """Return the equal faults at the end of a run's events."""
    of_run = [event for event in faults if event.run == run]
    out: list[FaultEvent] = []
    for event in reversed(of_run):
        if not event.cause or (out and event.cause != out[0].cause):
            break
        out.append(event)
    return out


def add(results: Path, run: ThisRun, commit: str, stage: str, fault: InfraFault | None) -> None:
    """Append the end of a job, well or with a fault."""
    event = FaultEvent(
        at=journal.now(),
        run=run.id,
        cause=fault.cause if fault else "",
        commit=commit,
        stage=stage,
        text=str(fault or "")[:500],
        job=slurm.job(),
    )
    with suppress(InfraFault):  # a full disk: the fault itself is about to be raised
        append_line(results / LOG, msgspec.json.encode(event))
