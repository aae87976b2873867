"""What a command costs: CPU seconds of the whole process tree, wall seconds, peak memory."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple


class Usage(NamedTuple):
    """``cpu`` and ``wall`` in seconds; ``peak_mb`` (MiB) is that of the largest single process, and
    ``said`` is all that was printed. Only children that somebody waited for are counted, which a
    run that ends well does for all of its own."""

    cpu: float
    wall: float
    peak_mb: float
    said: str


class Failed(Exception):
    """The command ended with an error; the text is its end."""


def measured(command: Sequence[str], folder: Path, env: Mapping[str, str], log: Path) -> Usage:
    """Run a command to its end. Raises Failed."""
    began = time.monotonic()
    with log.open("wb") as out:
        child = subprocess.Popen(
            list(command), cwd=folder, env=dict(env), stdout=out, stderr=subprocess.STDOUT
        )
        _, status, used = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    said = log.read_text(errors="replace")
    if child.returncode:
        raise Failed(f"{' '.join(command[:6])} ... exit {child.returncode}:\n{said[-3000:]}")
    wall = time.monotonic() - began
    return Usage(used.ru_utime + used.ru_stime, wall, used.ru_maxrss / 1024, said)
