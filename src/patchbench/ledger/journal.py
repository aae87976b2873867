"""The append-only journal of launches, apart from files that Snakemake may delete.

One file per block, one JSON line per event. A line cut short by a kill is skipped.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import msgspec

from patchbench.records import Record
from patchbench.system.files import append_line, read_lines


class Event(Record, frozen=True, kw_only=True):
    """One line of the journal. ``detail`` of ``slot_taken`` is the GPU slot, of
    ``launches_superseded`` the reason, of ``block_sealed`` the hash of the block's secret, of
    ``block_opened`` the secret itself, both in hex."""

    event: Literal[
        "run_started",
        "run_finished",
        "run_spoilt",
        "leftovers_ended",
        "block_begun",
        "slot_taken",
        "launches_superseded",
        "block_sealed",
        "block_opened",
    ]
    at: str
    commit: str
    block: int
    digest: str
    arm: str = ""
    result: str = ""
    cause: str = ""
    seconds: float = 0.0
    detail: str = ""


def now() -> str:
    """Return the present moment in UTC, ISO 8601 with milliseconds."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def path(results: Path, commit: str, block: int) -> Path:
    """Return the path of a block's journal."""
    return results / "journal" / commit / f"block-{block}.jsonl"


def read(file: Path) -> list[Event]:
    """Return all whole events of a journal, oldest first; none if there is no file."""
    return read_lines(file, Event)


def write(file: Path, event: Event) -> None:
    """Append one event."""
    append_line(file, msgspec.json.encode(event))


def spoilt_launches(events: list[Event], digest: str) -> list[Event]:
    """Return the launches under this block digest that a fault of the machine spoilt."""
    return [e for e in events if e.event == "run_spoilt" and e.digest == digest]


def begun(events: list[Event], digest: str) -> list[str] | None:
    """Return the order of arms with which a block was last begun under this digest; None if it was
    not written down."""
    orders = [e.detail.split() for e in events if e.event == "block_begun" and e.digest == digest]
    return orders[-1] if orders else None


def finished(events: list[Event], digest: str) -> dict[str, Event]:
    """Return the arms with a finished launch under this block digest, and its event."""
    return {e.arm: e for e in events if e.event == "run_finished" and e.digest == digest}
