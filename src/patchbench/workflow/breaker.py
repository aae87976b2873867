"""The breaker: it ends a run in which everything fails alike, instead of burning the whole queue.

A job on the scheduler's own machine asks it to end by a signal. From another machine there is only
the results folder: the job writes its wish there, and the scheduler finds it (``cluster``).
"""

from __future__ import annotations

import os
import signal
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from patchbench.errors import InfraFault, Stopped
from patchbench.ledger.machine_faults import (
    INVOCATION,
    RUN,
    SCHEDULER,
    STOP,
    FaultEvent,
    StopWish,
    ThisRun,
    add,
    current,
    events,
    row,
    struck,
)
from patchbench.system import slurm
from patchbench.system.files import disk_faults, write_json
from patchbench.system.pid_space import identity

OF_MACHINE = "infra."


def begin(results: Path, breaker: int) -> None:
    """Write down that this process schedules a run now, and tell its jobs so."""
    mine = identity(os.getpid()) or ""
    run = ThisRun(id=uuid.uuid4().hex[:12], scheduler=mine, breaker=breaker, host=slurm.host())
    (results / STOP).unlink(missing_ok=True)
    write_json(results / RUN, run)
    os.environ[INVOCATION] = run.id


def told_to_end(results: Path) -> None:
    """Tell jobs that the run, whose scheduler this process is, starts nothing more."""
    run = current(results)
    if run is not None and run.scheduler == identity(os.getpid()):
        with suppress(InfraFault):  # a full disk: then jobs that wait go on, as they did
            write_json(results / STOP, StopWish(run=run.id, by=SCHEDULER, why="told to end"))


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
        # Others ("killed") may be a patch's own doing, and must not end the run of all.
        if run is not None and fault.cause.startswith(OF_MACHINE):
            add(results, run, commit, stage, fault)
            faults = row(events(results), run.id)
            if run.breaker and len(faults) >= run.breaker and _stop(results, run, _open(faults)):
                print(f"patchbench: {_open(faults)}", file=sys.stderr, flush=True)
        raise
    if run is not None and (row(events(results), run.id) or commit in struck(results)):
        add(results, run, commit, stage, None)


def _open(faults: list[FaultEvent]) -> str:
    return (
        f"infra.breaker | {len(faults)} jobs in a row ended with {faults[0].cause} | the run ends "
        f"early, nothing was charged to an agent, what had finished is kept | the last: "
        f"{faults[0].text} | next: mend that, then run the same command again"
    )


def _stop(results: Path, run: ThisRun, why: str) -> bool:
    """Ask the scheduler to let running jobs end and start no others: what SIGTERM means to
    Snakemake. Returns False if there is none to ask."""
    if run.host and run.host != slurm.host():
        with suppress(InfraFault):  # as above
            write_json(results / STOP, StopWish(run=run.id, by=slurm.node(), why=why))
        return True
    pid = run.scheduler.partition(":")[0]
    if not pid.isdigit() or identity(int(pid)) != run.scheduler:
        return False
    os.kill(int(pid), signal.SIGTERM)
    return True
