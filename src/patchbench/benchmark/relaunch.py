"""Rules for launches that the machine or chance spoilt.

The table of causes says how often such a launch is repeated. After that a fault of the machine is
the arm's outcome, charged to no agent, if the baseline worked in the same block.
"""

from __future__ import annotations

import sys
import time
from datetime import datetime
from pathlib import Path

from patchbench.benchmark import resume
from patchbench.benchmark.context import BlockContext
from patchbench.errors import InfraFault, infra_fault
from patchbench.failures.causes import CAUSES, retry
from patchbench.ledger import journal, machine_faults
from patchbench.records import BASELINE, GradedRun, Run
from patchbench.system import disk
from patchbench.system.processes import wait_until

# With less free space than this the disk itself is full, whichever arm ran: no outcome is final.
SCARCE_BYTES = 500 * 2**20


def is_final(context: BlockContext, arm: str, cause: str) -> bool:
    """Return True if a fault of the machine has spoilt this arm as often as the table of causes
    allows, while the block's baseline worked. Then it becomes the arm's outcome: a patch
    that writes a log like that of a broken machine must not keep a campaign from ending."""
    places = (context.results, Path(context.task.work), *context.runtime.disks())
    if cause == "infra.disk_full" and min(map(_free_bytes, places)) < SCARCE_BYTES:
        return False
    faults = journal.spoilt_launches(context.events(), context.digest)
    finished = resume.finished_launches(
        context.results, context.task.commit, context.block, context.digest
    )
    worked = BASELINE in finished and finished[BASELINE][0].result == "measured"
    return worked and sum(event.arm == arm for event in faults) >= retry(cause).attempts


def _free_bytes(place: Path) -> int:
    return disk.measure(place).free


def is_chance(context: BlockContext, arm: str, cause: str) -> bool:
    """Return True if chance may have caused the failure (for example a SIGKILL from elsewhere) and
    the table of causes allows one more launch. ``cause`` is empty if it did not
    fail."""
    if not cause:
        return False
    faults = journal.spoilt_launches(context.events(), context.digest)
    attempt = 1 + sum(event.arm == arm and event.cause == cause for event in faults)
    return retry(cause).again(attempt)


def announce(run: Run, graded: GradedRun) -> None:
    """Print that a launch is repeated."""
    assert graded.cause is not None
    evidence = graded.evidence.text if graded.evidence else ""
    print(
        f"patchbench: {graded.cause} | commit {run.commit[:8]} | arm {run.arm} | block {run.block} "
        f"| {CAUSES[graded.cause].title}: {evidence} | launched once more",
        file=sys.stderr,
        flush=True,
    )


def machine_fault(run: Run, graded: GradedRun) -> InfraFault:
    """Return the exception with which the job ends if the machine spoilt a launch."""
    assert graded.cause is not None
    evidence = graded.evidence
    facts = f"commit {run.commit[:8]}", f"arm {run.arm}", f"block {run.block}"
    text, log = "", run.folder
    if evidence:
        text, log = evidence.text, f"{evidence.file}:{evidence.line}"
    return infra_fault(graded.cause, *facts, text, log=log, step="mend the machine")


def wait_after_fault(context: BlockContext) -> None:
    """Wait for the time in the table of causes, counted from the last launch that the machine
    spoilt in this run of the pipeline. A new run starts at once: the person has mended something.
    Raises Stopped."""
    faults = journal.spoilt_launches(context.events(), context.digest)
    until = 0.0
    for arm in {event.arm for event in faults}:
        events = [event for event in faults if event.arm == arm]
        last = datetime.fromisoformat(events[-1].at).timestamp()
        if last > machine_faults.began(context.results):
            until = max(until, last + retry(events[-1].cause).wait(len(events)))
    if (seconds := until - time.time()) > 0:
        print(f"patchbench: {seconds:.0f} s until another try", file=sys.stderr, flush=True)
        wait_until(lambda: False, seconds, context.guard)
