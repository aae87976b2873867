"""Progress that a person can follow on the terminal and later in a log file.

One line per launch: what it was, how it ended, how many of how many, and the time left. Counts
come from the journals, so they hold over restarts and parallel blocks.
"""

from __future__ import annotations

import os
import sys
from collections import defaultdict
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import msgspec

from patchbench.blocks import cohort_of, place_in_cohort
from patchbench.config import Protocol
from patchbench.images.missing import MISSING
from patchbench.ledger import journal
from patchbench.ledger.journal import Event
from patchbench.records import AA, AA_PAIR, Outcome
from patchbench.system.files import append_line

TITLE_WIDTH = 40
LOG = "progress.log"
# Set where the run's first process shows the log as it grows (see remote).
FOLLOWED = "PATCHBENCH_FOLLOWED"


class Done(NamedTuple):
    """Launches that are over, what they took (seconds), and how many of the blocks begun come on
    top of what was planned (less than 0: were left out)."""

    runs: int
    seconds: float
    more: int


def count(results: Path, protocol: Protocol) -> Done:
    """What the journals say of the present plan (``plan.json``: block digests by commit). A launch
    made again counts once; without a plan all count."""
    plan = results / "plan.json"
    valid = (
        msgspec.json.decode(plan.read_bytes(), type=dict[str, list[str]])
        if plan.is_file()
        else None
    )
    latest: dict[tuple[str, int, str], Event] = {}
    arms: dict[tuple[str, int], set[str]] = defaultdict(set)
    # Of journals written before orders were, only that a block was begun.
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
    done = [e for e in latest.values() if _counts(e, orders) and not _images_come(results, e)]
    more = sum(
        _more(block, order, len(arms[commit, cohort_of(block)]), protocol)
        for (commit, block), order in orders.items()
    )
    return Done(len(done), sum(event.seconds for event in done), more)


def _images_come(results: Path, event: Event) -> bool:
    """Whether an arm that was passed on because its image was missing has it by now, or asks for it
    again: it will be launched."""
    if event.result != "passed_on" or event.cause != "image.missing":
        return False
    try:
        record = (results / "images" / event.commit / f"{event.arm}.json").read_bytes()
    except OSError:
        return True
    return MISSING not in record


def _counts(event: Event, orders: Mapping[tuple[str, int], list[str] | None]) -> bool:
    order = orders[event.commit, event.block]
    return order is None or event.arm in order


def _more(block: int, order: list[str] | None, arms: int, protocol: Protocol) -> int:
    """Launches of a block that was begun beside those that were planned from the start."""
    pair = place_in_cohort(block) <= protocol.aa_blocks
    if place_in_cohort(block) > protocol.blocks:
        launches = arms if order is None else len(order)
        return launches - (len(AA_PAIR) if pair else 0)
    return 0 if order is None else (AA in order) - pair


def duration(seconds: float) -> str:
    """Seconds as a person says them: 48 s, 12 min, 3 h 05 min."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02d} min"


def bar(done: int, planned: int, width: int = 20) -> str:
    """A bar of plain characters, readable in a log too."""
    filled = min(width, round(width * done / planned)) if planned else width
    return "#" * filled + "." * (width - filled)


def left(done: Done, whole: int) -> float:
    """Seconds that what is left of all launches will take, by the mean of those done."""
    return max(0, whole - done.runs) * done.seconds / max(1, done.runs)


def report(results: Path, planned: int, event: Event, protocol: Protocol, title: str) -> None:
    """Print and log the line for a launch that just ended. ``planned`` are the launches that
    were sure to come (``Campaign.launches``)."""
    done = count(results, protocol)
    whole = planned + done.more
    short = title if len(title) <= TITLE_WIDTH else title[: TITLE_WIDTH - 1] + "…"
    cohort, place = cohort_of(event.block), place_in_cohort(event.block)
    blocks = protocol.blocks if place <= protocol.blocks else protocol.most_blocks
    number = f"{place}/{blocks}" + (f" cohort {cohort}" if cohort else "")
    text = (
        f"[{datetime.now(UTC):%H:%M:%S}] [{bar(done.runs, whole)}] {done.runs}/{whole} | "
        f"{event.commit[:8]} {short} | block {number} | {event.arm:<12} | "
        f"{event.result}{' ' + event.cause if event.cause else ''} | {event.seconds:.1f} s | "
        f"about {duration(left(done, whole))} left"
    )
    say(results, text)


def refused(results: Path, outcome: Outcome) -> None:
    """Say at once that an arm won't be measured, and why, long before the report does."""
    evidence = outcome.evidence.text if outcome.evidence else ""
    say(
        results,
        f"[{datetime.now(UTC):%H:%M:%S}] not measured: {outcome.commit[:8]} {outcome.arm} | "
        f"{outcome.stage} | {outcome.cause} | {evidence} | next: {outcome.advice}",
    )


def say(results: Path, text: str) -> None:
    """One line to the terminal and to ``progress.log``."""
    if FOLLOWED not in os.environ:
        print(text, file=sys.stderr, flush=True)
    append_line(results / LOG, text.encode())
