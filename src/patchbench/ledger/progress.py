"""Progress of a campaign, counted from its journals, and one line for each launch that ends.

The counts hold over restarts and parallel blocks. The lines go to the terminal and to
``results/progress.log``.
"""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import msgspec

from patchbench.config import Protocol
from patchbench.ledger import display, journal
from patchbench.ledger.blocks import cohort_of, place_in_cohort
from patchbench.ledger.journal import Event
from patchbench.records import AA, AA_PAIR, IMAGE_MISSING, Outcome
from patchbench.system.files import append_line

LOG = "progress.log"
# Set if the run's first process shows the log as it grows: then jobs print nothing.
FOLLOWED = "PATCHBENCH_FOLLOWED"
COLUMNS = 80
LAUNCH = re.compile(r"\d\d:\d\d \d+/\d+ ")


class Done(NamedTuple):
    """Launches that are over, the sum of their durations (seconds), and the launches that blocks in
    progress add to the plan (negative: remove from it)."""

    runs: int
    seconds: float
    more: int


class State(NamedTuple):
    """Launches done, launches in all as far as known, and the estimated rest in seconds."""

    done: int
    whole: int
    left: float

    @property
    def words(self) -> str:
        """The rest in words."""
        if self.done >= self.whole:
            return "all done"
        return f"about {duration(self.left)} left" if self.left else "not begun"


def state(results: Path, planned: int, protocol: Protocol) -> State:
    """Return the state of a campaign. ``planned`` counts the launches that are sure to come
    (``Campaign.launches``); the rest is estimated by the mean of the launches done."""
    done = count(results, protocol)
    whole = planned + done.more
    return State(done.runs, whole, max(0, whole - done.runs) * done.seconds / max(1, done.runs))


def count(results: Path, protocol: Protocol) -> Done:
    """Count the launches of the present plan (``plan.json``: block digests by commit); without a
    plan, all. A launch made again counts once."""
    valid = _plan(results / "plan.json")
    latest: dict[tuple[str, int, str], Event] = {}
    arms: dict[tuple[str, int], set[str]] = defaultdict(set)
    # None for journals from before the order of arms was written down.
    orders: dict[tuple[str, int], list[str] | None] = {}
    for file in (results / "journal").glob("*/block-*.jsonl"):
        for event in journal.read(file):
            if valid is not None and event.digest not in valid.get(event.commit, []):
                continue
            if place_in_cohort(event.block) > protocol.most_blocks:
                continue
            place = event.commit, event.block
            orders.setdefault(place, None)
            if event.event == "block_begun":
                orders[place] = event.detail.split()
            elif event.arm not in ("", AA) and place_in_cohort(event.block) <= protocol.blocks:
                arms[event.commit, cohort_of(event.block)].add(event.arm)
            if event.event == "run_finished":
                latest[*place, event.arm] = event
    done = [e for e in latest.values() if _counts(e, orders) and not _is_due_again(results, e)]
    more = sum(
        _more(block, order, len(arms[commit, cohort_of(block)]), protocol)
        for (commit, block), order in orders.items()
    )
    return Done(len(done), sum(event.seconds for event in done), more)


def _plan(file: Path) -> dict[str, list[str]] | None:
    """Return the block digests of the present plan, None if there is none that can be read."""
    with suppress(OSError, msgspec.MsgspecError):
        return msgspec.json.decode(file.read_bytes(), type=dict[str, list[str]])
    return None


def _is_due_again(results: Path, event: Event) -> bool:
    """Return True if an arm was skipped because its image was missing, and the image has come or
    will be made: the arm will be launched."""
    if event.result != "passed_on" or event.cause != IMAGE_MISSING:
        return False
    try:
        record = (results / "images" / event.commit / f"{event.arm}.json").read_bytes()
    except OSError:
        return True
    return f'"{IMAGE_MISSING}"'.encode() not in record


def _counts(event: Event, orders: Mapping[tuple[str, int], list[str] | None]) -> bool:
    order = orders[event.commit, event.block]
    return order is None or event.arm in order


def _more(block: int, order: list[str] | None, arms: int, protocol: Protocol) -> int:
    """Return the launches of a begun block beyond those that were planned from the start."""
    pair = place_in_cohort(block) <= protocol.aa_blocks
    if place_in_cohort(block) > protocol.blocks:
        launches = arms if order is None else len(order)
        return launches - (len(AA_PAIR) if pair else 0)
    return 0 if order is None else (AA in order) - pair


def duration(seconds: float) -> str:
    """Return seconds in words: 48 s, 12 min, 3 h 05 min."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02d} min"


def launch_line(event: Event, now: State, protocol: Protocol) -> str:
    """Return the line for a launch that ended, within 80 columns if its names are short enough."""
    cohort, place = cohort_of(event.block), place_in_cohort(event.block)
    blocks = protocol.blocks if place <= protocol.blocks else protocol.most_blocks
    number = f"{place}/{blocks}" + (f" cohort {cohort}" if cohort else "")
    cause = f" {event.cause}" if event.cause else ""
    line = (
        f"{datetime.now(UTC):%H:%M} {now.done}/{now.whole} {event.commit[:8]} block {number} "
        f"{event.arm} {event.result}{cause} {event.seconds:.1f} s"
    )
    rest = f", {now.words}"
    return line + rest if len(line + rest) <= COLUMNS else line


def without_title(line: str) -> str:
    """Return a line of the log as the terminal shows it: a launch's without its task's title."""
    return line.partition(" | ")[0] if LAUNCH.match(line) else line


def report(results: Path, planned: int, event: Event, protocol: Protocol, title: str) -> None:
    """Print and log the line for a launch that just ended; the log has the task's title too. Of an
    arm that an earlier stage refused that stage has said it already, once for all blocks."""
    if event.result == "passed_on" and event.cause != IMAGE_MISSING:
        return
    line = launch_line(event, state(results, planned, protocol), protocol)
    say(results, line, f" | {title}")


def report_refusal(results: Path, outcome: Outcome) -> None:
    """Print and log that an arm won't be measured, with the reason, long before the report does."""
    evidence = outcome.evidence.text if outcome.evidence else ""
    say(
        results,
        f"{datetime.now(UTC):%H:%M} not measured: {outcome.commit[:8]} {outcome.arm} | "
        f"{outcome.stage} | {outcome.cause} | {evidence} | next: {outcome.advice}",
    )


def say(results: Path, text: str, log_only: str = "") -> None:
    """Print a line on stderr and append it to ``progress.log``, there with ``log_only`` added."""
    if FOLLOWED not in os.environ:
        display.print_line(text)
    append_line(results / LOG, (text + log_only).encode())
