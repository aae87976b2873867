"""Benchmark clients that are started beside a starting server and held until it is their turn.

A client of vLLM imports for five to fifteen seconds. While the server starts nothing is measured,
so its imports then cost the GPU nothing; while a window is measured they would disturb it.
"""

from __future__ import annotations

import contextlib
import errno
import os
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from patchbench.inside import held_client
from patchbench.runtimes import Child
from patchbench.system.files import temporary_prefix
from patchbench.system.processes import Guard, wait_until

PROGRAM = Path(held_client.__file__)


def held_command(
    command: Sequence[str], modules: Sequence[str], inside: Callable[[Path], str], gate: Path
) -> list[str]:
    """The same command, its imports done before the gate is opened."""
    python, _, *rest = command
    return [python, inside(PROGRAM), inside(gate), ",".join(modules), *rest]


class Gate:
    """A named pipe that a held client waits at."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix=temporary_prefix())
        # A client in a sandbox is another user.
        Path(self._folder.name).chmod(0o711)
        self.path = Path(self._folder.name) / "gate"
        os.mkfifo(self.path)
        self.path.chmod(0o644)

    def open(self, client: Child, seconds: float, guard: Guard) -> None:
        """Let the client go, as soon as it waits there. Returns when it does, has ended, or the
        time is up (whoever waits for the client's end sees which). Raises Stopped."""
        wait_until(lambda: client.exit_code is not None or self._opened(), seconds, guard)

    def _opened(self) -> bool:
        try:
            os.close(os.open(self.path, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC))
        except OSError as error:
            if error.errno == errno.ENXIO:  # nobody waits yet
                return False
            raise
        return True

    def close(self) -> None:
        """Remove the pipe."""
        with contextlib.suppress(OSError):
            self._folder.cleanup()
