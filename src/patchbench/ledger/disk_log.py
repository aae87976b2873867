"""The log of the disks (``results/disk.jsonl``): free space and images at each event of a build, as
one JSON line each."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import msgspec

from patchbench.errors import InfraFault
from patchbench.records import Record
from patchbench.system.files import append_line, read_lines

LOG = "disk.jsonl"


class DiskEvent(Record, frozen=True, kw_only=True):
    """One line: an event, with the space at that moment in bytes. ``commits`` and ``images`` count
    our images in the engine; ``seconds`` were spent waiting."""

    at: str
    event: str
    engine_free: int = 0
    engine_total: int = 0
    results_free: int = 0
    commits: int = 0
    images: int = 0
    seconds: float = 0.0
    commit: str = ""
    detail: str = ""


def write(results: Path, event: DiskEvent) -> None:
    """Append an event. If the disk is too full for it, drop it: builds must go on."""
    with suppress(InfraFault):
        append_line(results / LOG, msgspec.json.encode(event))


def read(results: Path) -> list[DiskEvent]:
    """Return all whole events of a campaign, oldest first."""
    return read_lines(results / LOG, DiskEvent)
