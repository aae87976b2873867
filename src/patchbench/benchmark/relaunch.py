"""Rules for launches that the machine or chance spoilt.

The table of causes says how often such a launch is repeated. After that a fault of the machine is
the arm's outcome, charged to no agent, if the baseline worked in the same block. A fault that only
the arm's own log shows leads to one more launch.
"""

from __future__ import annotations

import sys
import time
from datetime import datetime
from pathlib import Path

import msgspec

from patchbench.benchmark import outside, resume
from patchbench.benchmark.context import BlockContext
from patchbench.errors import InfraFault, infra_fault
from patchbench.failures.attribution import OWN_ARMS
from patchbench.failures.causes import CAUSES, retry
from patchbench.ledger import journal, machine_faults
from patchbench.ledger.blocks import block_numbers, cohort_of
from patchbench.ledger.journal import Event
from patchbench.records import BASELINE, GradedRun, Run
from patchbench.system.processes import wait_until

# What the journal says of a launch that is repeated for a fault that only its own log shows.
SUSPECTED = "suspected"
KILLED = "killed"


def is_final(context: BlockContext, arm: str, cause: str) -> bool:
    """Return True if a fault of the machine has spoilt this arm as often as the table of causes
    allows, while the block's baseline worked. Then it becomes the arm's outcome: what strikes one
    arm only must not keep a campaign from ending."""
    places = (context.results, Path(context.task.work), *context.runtime.disks())
    if cause == "infra.disk_full" and outside.is_scarce(places):
        return False
    return len(_faults(context, arm)) >= retry(cause).attempts and _baseline_works(context)


def is_killed_for_good(context: BlockContext, arm: str) -> bool:
    """Return True if a launch that was killed is the arm's outcome: an earlier run's launches of
    this arm were killed too, while the block's baseline works. Until then the arm is pending."""
    began = machine_faults.began(context.results)
    before = [
        event
        for event in _faults(context, arm)
        if event.cause == KILLED and datetime.fromisoformat(event.at).timestamp() < began
    ]
    return bool(before) and _baseline_works(context)


def _baseline_works(context: BlockContext) -> bool:
    place = context.results, context.task.commit, context.block, context.digest
    event, _ = resume.finished_launches(*place).get(BASELINE, (None, None))
    return event is not None and event.result == "measured"


def _faults(context: BlockContext, arm: str) -> list[Event]:
    """Return the launches of an arm in this block that a fault of the machine spoilt."""
    spoilt = journal.spoilt_launches(context.events(), context.digest)
    return [event for event in spoilt if event.arm == arm and event.detail != SUSPECTED]


def is_chance(context: BlockContext, arm: str, cause: str) -> bool:
    """Return True if chance may have caused the failure (for example a SIGKILL from elsewhere) and
    the table of causes allows one more launch. ``cause`` is empty if it did not
    fail."""
    if not cause:
        return False
    faults = journal.spoilt_launches(context.events(), context.digest)
    attempt = 1 + sum(
        event.arm == arm and (event.cause == cause or event.detail == SUSPECTED) for event in faults
    )
    return retry(cause).again(attempt)


def is_suspect(context: BlockContext, graded: GradedRun) -> bool:
    """Return True if an arm's own log, and nothing else, shows a fault that no arm pays for. It is
    launched once more, but not again in any block once it failed after that: a patch can print any
    line."""
    if graded.status != "failed" or not graded.suspected:
        return False
    protocol = context.task.protocol
    for number in block_numbers(cohort_of(context.block), protocol.most_blocks):
        events = journal.read(journal.path(context.results, context.task.commit, number))
        spoilt = [
            event
            for event in journal.spoilt_launches(events, context.digest)
            if event.arm == graded.arm and (event.detail == SUSPECTED or number == context.block)
        ]
        finished = journal.finished(events, context.digest).get(graded.arm)
        failed_again = finished is None or finished.result == "failed"
        if spoilt and (number == context.block or failed_again):
            return False
    return True


def was_the_machines(context: BlockContext, arm: str) -> bool:
    """Return True if an arm's failure was a suspected fault of the machine, and one of the task's
    own arms had that fault later in the same block."""
    events = context.events()
    finished = journal.finished(events, context.digest).get(arm)
    if finished is None or finished.result != "failed" or arm in OWN_ARMS:
        return False
    later = events[events.index(finished) :]
    return any(
        event.arm in OWN_ARMS and event.cause in finished.detail.split()
        for event in journal.spoilt_launches(later, context.digest)
        if event.detail != SUSPECTED
    )


def announce(run: Run, graded: GradedRun) -> None:
    """Print that a launch is repeated."""
    assert graded.cause is not None
    evidence = graded.evidence.text if graded.evidence else ""
    suspected = f" | its log names {', '.join(graded.suspected)}" if graded.suspected else ""
    print(
        f"patchbench: {graded.cause} | commit {run.commit[:8]} | arm {run.arm} | block {run.block} "
        f"| {CAUSES[graded.cause].title}: {evidence}{suspected} | launched once more",
        file=sys.stderr,
        flush=True,
    )


def killed(context: BlockContext, run: Run, graded: GradedRun) -> InfraFault:
    """Return the exception with which the job ends if a launch was killed again. Beside a baseline
    that works it says nothing about the machine, so it does not count for the breaker."""
    cause = KILLED if _baseline_works(context) else "infra.killed"
    return machine_fault(run, msgspec.structs.replace(graded, cause=cause))


def machine_fault(run: Run, graded: GradedRun) -> InfraFault:
    """Return the exception with which the job ends if the machine spoilt a launch."""
    assert graded.cause is not None
    evidence = graded.evidence
    facts = f"commit {run.commit[:8]}", f"arm {run.arm}", f"block {run.block}"
    text, log = "", run.folder
    if evidence:
        text, log = evidence.text, f"{evidence.file}:{evidence.line}"
    step = "see what ends processes here" if KILLED in graded.cause else "mend the machine"
    return infra_fault(graded.cause, *facts, text, log=log, step=step)


def wait_after_fault(context: BlockContext) -> None:
    """Wait for the time in the table of causes, counted from the last launch that the machine
    spoilt in this run of the pipeline. A new run starts at once: the person has mended something.
    Raises Stopped."""
    until = 0.0
    for arm in {event.arm for event in context.events()}:
        events = _faults(context, arm)
        if not events:
            continue
        last = datetime.fromisoformat(events[-1].at).timestamp()
        if last > machine_faults.began(context.results):
            until = max(until, last + retry(events[-1].cause).wait(len(events)))
    if (seconds := until - time.time()) > 0:
        print(f"patchbench: {seconds:.0f} s until another try", file=sys.stderr, flush=True)
        wait_until(lambda: False, seconds, context.guard)
