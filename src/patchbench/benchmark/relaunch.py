"""Launches that a fault of the machine, or chance, spoilt: tried again as the table of causes says,
raised for the run to end with, or in the end written down, charged to nobody."""

from __future__ import annotations

import sys
import time
from datetime import datetime
from pathlib import Path

from patchbench.benchmark import resume
from patchbench.benchmark.context import Setting
from patchbench.errors import InfraFault
from patchbench.failures.causes import CAUSES, retry
from patchbench.ledger import journal, machine_faults
from patchbench.records import BASELINE, GradedRun, Run
from patchbench.system import disk
from patchbench.system.processes import wait_until

# A disk with less free space than this is full indeed: then nothing is ever written down as final.
SCARCE_BYTES = 500 * 2**20


def final(setting: Setting, arm: str, graded: GradedRun) -> bool:
    """Whether a fault of the machine has struck this one arm so often, while the block's baseline
    worked, that it is written down as the arm's outcome (and charged to nobody): a patch whose log
    looks like a broken machine must not keep a campaign from ending."""
    places = (setting.results, Path(setting.task.work), *setting.runtime.disks())
    scarce = min(disk.measure(place).free for place in places) < SCARCE_BYTES
    if graded.cause == "infra.disk_full" and scarce:
        return False
    spoilt = journal.spoilt(journal.read(setting.journal), setting.digest)
    done = resume.finished(setting.results, setting.task.commit, setting.block, setting.digest).get(
        BASELINE
    )
    worked = done is not None and done[0].result == "measured"
    struck = sum(event.arm == arm for event in spoilt)
    return struck >= retry(graded.cause or "unknown").attempts and worked


def by_chance(setting: Setting, arm: str, cause: str | None) -> bool:
    """Whether a launch failed as only chance may have had it (somebody killed the server), so that
    it is made again at once: as often as the table of causes says, and then believed."""
    if cause is None:
        return False
    events = journal.spoilt(journal.read(setting.journal), setting.digest)
    made = 1 + sum(event.arm == arm and event.cause == cause for event in events)
    return retry(cause).again(made)


def say(run: Run, graded: GradedRun) -> None:
    """Tell that a launch is made again."""
    assert graded.cause is not None
    evidence = graded.evidence.text if graded.evidence else ""
    print(
        f"patchbench: {graded.cause} | commit {run.commit[:8]} | arm {run.arm} | block {run.block} "
        f"| {CAUSES[graded.cause].title}: {evidence} | launched once more",
        file=sys.stderr,
        flush=True,
    )


def fault(run: Run, graded: GradedRun) -> InfraFault:
    """The sentence that the job ends with."""
    evidence = graded.evidence
    where = f"{evidence.file}:{evidence.line}" if evidence else run.folder
    return InfraFault(
        f"{graded.cause} | commit {run.commit[:8]} | arm {run.arm} | block {run.block} | "
        f"{evidence.text if evidence else ''} | nothing was charged to an agent | log: {where} | "
        "next: mend the machine, then run the same command again"
    )


def back_off(setting: Setting) -> None:
    """Before another try of an arm that a fault of the machine spoilt in this very run: wait as
    long as the table of causes says. A person who starts a new run has mended something."""
    spoilt = journal.spoilt(journal.read(setting.journal), setting.digest)
    until = 0.0
    for arm in {event.arm for event in spoilt}:
        mine = [event for event in spoilt if event.arm == arm]
        last = datetime.fromisoformat(mine[-1].at).timestamp()
        if last > machine_faults.began(setting.results):
            until = max(until, last + retry(mine[-1].cause).wait(len(mine)))
    if (seconds := until - time.time()) > 0:
        print(f"patchbench: {seconds:.0f} s until another try", file=sys.stderr, flush=True)
        wait_until(lambda: False, seconds, setting.guard)
