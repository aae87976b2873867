"""One long request to the engine (a build, a pull) in a process of its own.

Killing that process is the only sure way to end the request: the engine drops a build or a pull
once its client is gone.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Generic, NamedTuple, TypeVar

from patchbench.system import processes
from patchbench.system.files import read_lines, temporary_prefix
from patchbench.system.processes import Guard

T = TypeVar("T")


class Reply(NamedTuple, Generic[T]):
    """The lines that the process printed, its stderr, and whether it ended well and in time."""

    lines: list[T]
    errors: str
    ok: bool
    in_time: bool


def request(
    program: str,
    words: Sequence[str],
    line: type[T],
    *,
    seconds: float,
    guard: Guard,
    tick: Callable[[Path], None] = lambda _: None,
) -> Reply[T]:
    """Run ``python -m patchbench.runtimes.docker.PROGRAM WORDS``, which prints a JSON ``line`` per
    line; ``tick`` is called with the file of these lines while it runs. Raises Stopped."""
    with tempfile.TemporaryDirectory(prefix=temporary_prefix()) as name:
        folder = Path(name)
        child = processes.spawn(
            [sys.executable, "-m", f"{__package__}.{program}", *words],
            cwd=folder,
            env=dict(os.environ),  # for credential helpers; no patched code sees it
            stdout=folder / "lines",
            stderr=folder / "errors",
        )

        def is_over() -> bool:
            tick(child.stdout)
            return child.exit_code is not None

        try:
            in_time = processes.wait_until(is_over, seconds, guard)
        finally:
            child.stop(1)
        return Reply(
            read_lines(child.stdout, line),
            child.stderr.read_text(errors="replace"),
            ok=child.exit_code == 0 and in_time,
            in_time=in_time,
        )
