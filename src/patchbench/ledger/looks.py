"""Journal of looks: each number of blocks of a task at which a verdict was computed, with the plan
in force. A later plan can't undo what an earlier look has spent."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import msgspec

from patchbench.config import Protocol
from patchbench.ledger.journal import now
from patchbench.records import Record
from patchbench.system.files import append_line, read_lines


class Look(Record, frozen=True, kw_only=True):
    """A verdict on so many blocks, while ``first`` blocks were planned for all arms and ``last`` at
    most."""

    at: str
    blocks: int
    first: int
    last: int


def path(results: Path, commit: str) -> Path:
    """Return the path of a task's journal of looks."""
    return results / "journal" / commit / "looks.jsonl"


def read(results: Path, commit: str) -> list[Look]:
    """Return a task's looks, oldest first; none if there was none."""
    return read_lines(path(results, commit), Look)


def record(results: Path, commit: str, protocol: Protocol, blocks: Iterable[int]) -> None:
    """Append a look at each of these numbers of blocks that was not looked at before."""
    known = {look.blocks for look in read(results, commit)}
    for count in sorted({*blocks} - known):
        look = Look(at=now(), blocks=count, first=protocol.blocks, last=protocol.last_block)
        append_line(path(results, commit), msgspec.json.encode(look))
