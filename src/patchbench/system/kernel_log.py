"""The kernel's log, as far as it may be read."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

PATH = Path("/dev/kmsg")
LONGEST_RECORD = 8192
MICROSECONDS = 1_000_000


def lines(since: float = 0.0, path: Path = PATH) -> Iterator[str]:
    """Yield the kernel's messages of ``since`` (seconds since the machine's start) and later, as
    far as they are kept; none without permission."""
    for record in records(path):
        head, _, text = record.partition(";")
        fields = head.split(",")
        if len(fields) > 2 and fields[2].isdigit() and int(fields[2]) < since * MICROSECONDS:
            continue
        if first := text.partition("\n")[0]:
            yield first


def records(path: Path = PATH) -> Iterator[str]:
    """Yield the log's records, `PRIORITY,NUMBER,MICROSECONDS,FLAGS;TEXT` with further lines."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        return
    try:
        while True:
            try:
                record = os.read(fd, LONGEST_RECORD)
            except BrokenPipeError:  # overwritten meanwhile: read the next one
                continue
            except OSError:  # no more
                return
            if not record:
                return
            yield record.decode(errors="replace")
    finally:
        os.close(fd)
