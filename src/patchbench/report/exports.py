"""The report as JSON; `patchbench schema report` prints its schema."""

from __future__ import annotations

from pathlib import Path

import msgspec

from patchbench.report.model import Report
from patchbench.system.files import write_bytes

READABLE = 4 << 20


def write_json(report: Report, path: Path) -> None:
    """The whole report as JSON, numbers unrounded; a small one is laid out for people."""
    data = msgspec.json.encode(report)
    if len(data) < READABLE:
        data = msgspec.json.format(data, indent=1)
    write_bytes(path, data + b"\n")
