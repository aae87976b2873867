"""Clients that import while the server starts and wait at a gate until their window.

A client of vLLM imports for 5 to 15 s. While the server starts, that costs the GPU nothing; within
a window it would disturb the measurement. The waiting itself is the program
``inside/held_client.py``: one idea in two files, because that half runs inside the client's image.
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


def gated_command(
    command: Sequence[str], modules: Sequence[str], inside: Callable[[Path], str], gate: Path
) -> list[str]:
    """Return the command PYTHON -m MODULE ... changed to import ``modules`` and then wait at the
    gate."""
    python, _, *rest = command
    return [python, inside(PROGRAM), inside(gate), ",".join(modules), *rest]


class Gate:
    """A named pipe at which one client waits."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix=temporary_prefix())
        # A client in a sandbox is another user.
        Path(self._folder.name).chmod(0o711)
        self.path = Path(self._folder.name) / "gate"
        os.mkfifo(self.path)
        self.path.chmod(0o644)

    def open(self, client: Child, seconds: float, guard: Guard) -> None:
        """Let the client pass as soon as it waits. Returns once it has passed or ended, or after
        ``seconds``. Raises Stopped."""
        wait_until(lambda: client.exit_code is not None or self._try_open(), seconds, guard)

    def _try_open(self) -> bool:
        try:
            os.close(os.open(self.path, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC))
        except OSError as error:
            if error.errno == errno.ENXIO:  # no reader yet
                return False
            raise
        return True

    def close(self) -> None:
        """Remove the pipe."""
        with contextlib.suppress(OSError):
            self._folder.cleanup()
