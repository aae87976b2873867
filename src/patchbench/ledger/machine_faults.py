"""Faults of the machine in this run: a list of them, and the breaker that ends a run in which
everything fails alike, instead of burning the whole queue.

A job on the scheduler's own machine asks it to end by a signal. From another machine there is only
the results folder: the job writes its wish there, and the scheduler finds it (``remote``).
"""

from __future__ import annotations

import os
import signal
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec

from patchbench.errors import InfraFault, Stopped
from patchbench.ledger import journal
from patchbench.records import Record
from patchbench.system import slurm
from patchbench.system.files import append_line, disk_faults, read_lines, write_json
from patchbench.system.processes import Checks, identity

# Of which invocation a job is: one that waited in a cluster's queue may outlive it.
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
    """``results/stop.json``: the run with this id starts nothing more. A job wishes that, or a
    person did, who sent a signal (then ``by`` is SCHEDULER)."""

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


def begin(results: Path, breaker: int) -> None:
    """Say that this process schedules a run now."""
    mine = identity(os.getpid()) or ""
    run = ThisRun(id=uuid.uuid4().hex[:12], scheduler=mine, breaker=breaker, host=slurm.host())
    (results / STOP).unlink(missing_ok=True)
    write_json(results / RUN, run)
    os.environ[INVOCATION] = run.id


def wish(results: Path) -> StopWish | None:
    """A job's wish that a run ends, or None."""
    try:
        return msgspec.json.decode((results / STOP).read_bytes(), type=StopWish)
    except (OSError, msgspec.MsgspecError):
        return None


def told_to_end(results: Path) -> None:
    """Let jobs know that the run, whose scheduler this process is, starts nothing more."""
    run = current(results)
    if run is not None and run.scheduler == identity(os.getpid()):
        with suppress(InfraFault):  # a full disk: then jobs that wait go on, as they did
            write_json(results / STOP, StopWish(run=run.id, by=SCHEDULER, why="told to end"))


class Waiting:
    """The guard of a job that waits for its turn: it has nothing to lose, so a run that starts
    nothing more does not let it begin either."""

    def __init__(self, guard: Checks, results: Path) -> None:
        self.guard, self.results = guard, results

    def check(self) -> None:
        """Raise Stopped if the job or its run was told to end."""
        self.guard.check()
        found = wish(self.results)
        if found is not None and found.run == os.environ.get(INVOCATION):
            raise Stopped("the run was told to end before this job's turn came")


def current(results: Path) -> ThisRun | None:
    """The run that works on a results folder, or None for a script started by hand."""
    try:
        return msgspec.json.decode((results / RUN).read_bytes(), type=ThisRun)
    except (OSError, msgspec.MsgspecError):
        return None


def began(results: Path) -> float:
    """When the present run began, seconds since the epoch; 0 for a script started by hand."""
    path = results / RUN
    return path.stat().st_mtime if path.is_file() else 0.0


def events(results: Path) -> list[FaultEvent]:
    """All whole events, oldest first."""
    return read_lines(results / LOG, FaultEvent)


def struck(results: Path) -> set[str]:
    """Commits whose last job of this run ended with a fault."""
    run = current(results)
    last: dict[str, str] = {}
    for event in events(results):
        if run is not None and event.run == run.id:
            last[event.commit] = event.cause
    return {commit for commit, cause in last.items() if cause}


def row(found: list[FaultEvent], run: str) -> list[FaultEvent]:
    """The equal faults at the end of a run's events."""
    mine = [event for event in found if event.run == run]
    out: list[FaultEvent] = []
    for event in reversed(mine):
        if not event.cause or (out and event.cause != out[0].cause):
            break
        out.append(event)
    return out


@contextmanager
def watched(results: Path, commit: str, stage: str) -> Iterator[None]:
    """Run a job under the breaker. Raises InfraFault at once if it is open already; opens it, which
    tells the scheduler to start nothing more, if this job's fault was one too many. Raises Stopped
    for a job of an invocation that is gone, if another has begun: that has jobs of its own."""
    run = current(results)
    mine = os.environ.get(INVOCATION)
    if run is not None and mine is not None and mine != run.id:
        raise Stopped(f"invocation {mine}, which started this job, is gone; {run.id} has begun")
    if run is not None and run.breaker:
        before = row(events(results), run.id)
        if len(before) >= run.breaker:
            raise InfraFault(_open(before))
    try:
        with disk_faults():
            yield
    except InfraFault as fault:
        if run is not None:
            _add(results, run, commit, stage, fault)
            faults = row(events(results), run.id)
            if run.breaker and len(faults) >= run.breaker and _stop(results, run, _open(faults)):
                print(f"patchbench: {_open(faults)}", file=sys.stderr, flush=True)
        raise
    if run is not None and (row(events(results), run.id) or commit in struck(results)):
        _add(results, run, commit, stage, None)


def _add(results: Path, run: ThisRun, commit: str, stage: str, fault: InfraFault | None) -> None:
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


def _open(faults: list[FaultEvent]) -> str:
    return (
        f"infra.breaker | {len(faults)} jobs in a row ended with {faults[0].cause} | the run ends "
        f"early, nothing was charged to an agent, what had finished is kept | the last: "
        f"{faults[0].text} | next: mend that, then run the same command again"
    )


def _stop(results: Path, run: ThisRun, why: str) -> bool:
    """Ask the scheduler to let running jobs end and start no others (what SIGTERM means to
    Snakemake). Whether there was one to ask."""
    if run.host and run.host != slurm.host():
        with suppress(InfraFault):  # as above
            write_json(results / STOP, StopWish(run=run.id, by=slurm.node(), why=why))
        return True
    pid = run.scheduler.partition(":")[0]
    if not pid.isdigit() or identity(int(pid)) != run.scheduler:
        return False
    os.kill(int(pid), signal.SIGTERM)
    return True
