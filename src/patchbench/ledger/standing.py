"""The state of a campaign from its records: outcomes by arm, what runs now, faults of the machine.

Counted anew each time, so it holds after a kill, beside a run and after its end.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, NamedTuple

import msgspec

from patchbench.config import Protocol
from patchbench.ledger import journal, machine_faults, progress
from patchbench.system import disk, locks
from patchbench.system.files import LOCK

MISSING = "patch.missing"
# Blames for which no patch is charged, and a repetition may go well.
OF_THE_MACHINE = ("infra", "harness")
Phase = Literal["not begun", "running", "interrupted", "unrendered", "done"]
KINDS = ("measured", "failed", "machine", "no patch", "excluded", "pending")
REPORT = "report.md"
# Seconds by which a file can look older than what was written before it: clocks of files tick so.
TICK = 0.02


class Plan(NamedTuple):
    """A campaign as its state is counted: its results folder, launches that are sure to come,
    titles by arm, digests of valid blocks by commit, and commits that are excluded beforehand."""

    name: str
    results: Path
    launches: int
    protocol: Protocol
    titles: Mapping[str, str]
    digests: Mapping[str, Collection[str]]
    excluded: Collection[str] = ()


class Launching(NamedTuple):
    """A launch that goes on now, and its start."""

    commit: str
    block: int
    arm: str
    since: datetime


class Standing(NamedTuple):
    """The state of a campaign. ``outcomes`` are counts of KINDS by arm; ``holder`` is the process
    that works on it, in words, ``since`` the start of the last run; ``faults`` are those of the
    machine in that run; ``free`` are bytes."""

    phase: Phase
    launches: progress.State
    outcomes: Mapping[str, Counter[str]]
    running: tuple[Launching, ...]
    holder: str
    since: datetime | None
    faults: tuple[machine_faults.FaultEvent, ...]
    free: int

    @property
    def pending(self) -> int:
        """Outcomes that are still to come."""
        return sum(count["pending"] for count in self.outcomes.values())


class _Arm(msgspec.Struct):
    arm: str
    status: str
    cause: str | None = None
    blame: str | None = None


class _Metrics(msgspec.Struct):
    """The part of a commit's metrics that is counted here."""

    digests: tuple[str, ...]
    arms: tuple[_Arm, ...]


def standing(plan: Plan, *, ended: bool = False) -> Standing:
    """Return the state of a campaign now. ``ended`` is for the run's own process at its end, which
    still holds the lock."""
    results = plan.results
    is_alive = not ended and _is_held(results / LOCK)
    began = machine_faults.began(results)
    outcomes = {arm: Counter[str]() for arm in plan.titles}
    for commit, valid in plan.digests.items():
        for arm, kind in _kinds(plan, commit, valid).items():
            outcomes[arm][kind] += 1
    pending = any(count["pending"] for count in outcomes.values())
    launches = progress.state(results, plan.launches, plan.protocol)
    run = machine_faults.current(results)
    events = machine_faults.events(results)
    return Standing(
        phase=_phase(results, is_alive, began, launches.done, pending),
        launches=launches,
        outcomes=outcomes,
        running=_running(plan, began) if is_alive else (),
        holder=locks.holder(results / LOCK) if is_alive else "",
        since=datetime.fromtimestamp(began, UTC) if began else None,
        faults=tuple(e for e in events if e.cause and run is not None and e.run == run.id),
        free=disk.measure(results).free,
    )


def _phase(results: Path, is_alive: bool, began: float, done: int, pending: bool) -> Phase:
    if is_alive:
        return "running"
    report = results / REPORT
    if not (began or done or report.is_file()):
        return "not begun"
    if pending:
        return "interrupted"
    is_new = report.is_file() and report.stat().st_mtime >= _newest_metrics(results)
    return "done" if is_new else "unrendered"


def _newest_metrics(results: Path) -> float:
    times = (path.stat().st_mtime for path in (results / "metrics").glob("*.json"))
    return max(times, default=0.0)


def _is_held(lock: Path) -> bool:
    with suppress(OSError):
        return locks.is_held(lock)
    return False  # a folder that this user may only read


def _kinds(plan: Plan, commit: str, valid: Collection[str]) -> dict[str, str]:
    """Return what became of each arm of a commit."""
    if commit in plan.excluded:
        return dict.fromkeys(plan.titles, "excluded")
    metrics = None
    with suppress(OSError, msgspec.MsgspecError):
        data = (plan.results / "metrics" / f"{commit}.json").read_bytes()
        metrics = msgspec.json.decode(data, type=_Metrics)
    kinds = dict.fromkeys(plan.titles, "pending")
    if metrics is not None and {*metrics.digests} <= {*valid}:
        kinds |= {one.arm: _kind(one) for one in metrics.arms if one.arm in kinds}
    return kinds


def _kind(arm: _Arm) -> str:
    if arm.status != "failed":
        return arm.status
    if arm.cause == MISSING:
        return "no patch"
    return "machine" if arm.blame in OF_THE_MACHINE else "failed"


def _running(plan: Plan, began: float) -> tuple[Launching, ...]:
    """Return the launches that were begun in this run and have not ended."""
    found = []
    began -= TICK
    for file in (plan.results / "journal").glob("*/block-*.jsonl"):
        if file.stat().st_mtime < began:
            continue
        last = None
        for event in journal.read(file):
            if event.event == "run_started":
                last = event
            elif last is not None and event.arm == last.arm:
                last = None
        if last is not None and (at := datetime.fromisoformat(last.at)).timestamp() >= began:
            found.append(Launching(last.commit, last.block, last.arm, at))
    return tuple(sorted(found, key=lambda one: one.since))
