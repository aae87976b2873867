"""A container's output and result files, read by us with a size limit.

A result file is a named pipe inside the sandbox: patched code that writes without end fills no
disk.
"""

from __future__ import annotations

import os
import select
import tempfile
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from patchbench.errors import InfraFault
from patchbench.system.capped_log import Capped
from patchbench.system.files import temporary_prefix, write_bytes

STDOUT, STDERR = 1, 2
MAX_RESULT_BYTES = 256 << 20
TICK_SECONDS = 0.2


class Streams(threading.Thread):
    """Copies a container's stdout and stderr into two files until it ends."""

    def __init__(self, frames: Iterable[tuple[int, bytes]], stdout: Path, stderr: Path) -> None:
        super().__init__(daemon=True)
        self.frames = frames
        self.sinks = {STDOUT: Capped(stdout), STDERR: Capped(stderr)}
        self.start()

    def run(self) -> None:
        """Copy until the last frame."""
        try:
            for stream, data in self.frames:
                self.sinks[stream].write(data)
        except OSError:
            return  # the engine is gone; the thread that waits for the container reports it
        finally:
            for sink in self.sinks.values():
                sink.close()

    @property
    def failed(self) -> InfraFault | None:
        """The fault that kept output from being written, or None."""
        return next((sink.failed for sink in self.sinks.values() if sink.failed), None)


class Pipes:
    """Named pipes in place of result files, each read by a thread."""

    def __init__(self, targets: Iterable[Path]) -> None:
        self.folder = tempfile.TemporaryDirectory(prefix=temporary_prefix())
        # Other users may pass through the folder; the pipe's own mode lets them write.
        Path(self.folder.name).chmod(0o711)
        self.pipes = {target: self._make(target) for target in targets}
        self.readers = [_Reader(pipe, target) for target, pipe in self.pipes.items()]

    def _make(self, target: Path) -> Path:
        pipe = Path(self.folder.name) / target.name
        os.mkfifo(pipe)
        pipe.chmod(0o666)
        return pipe

    def close(self) -> None:
        """Write the result files; call it after the last writer ended. Raises InfraFault."""
        for reader in self.readers:
            reader.finish()
        self.folder.cleanup()
        for reader in self.readers:
            if reader.data:
                write_bytes(reader.target, bytes(reader.data))


class _Reader(threading.Thread):
    """Reads one pipe into memory, at most MAX_RESULT_BYTES; the rest is read and dropped."""

    def __init__(self, pipe: Path, target: Path) -> None:
        super().__init__(daemon=True)
        self.target = target
        self.data = bytearray()
        # Open for writing too: otherwise the first writer that closes it would end our reading.
        self.fd = os.open(pipe, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        self.over = threading.Event()
        self.start()

    def run(self) -> None:
        """Read until ``finish`` is called, then what is still in the pipe."""
        while True:
            last = self.over.is_set()
            ready, _, _ = select.select([self.fd], [], [], 0 if last else TICK_SECONDS)
            if not ready:
                if last:
                    return
                continue
            piece = os.read(self.fd, 1 << 16)
            room = MAX_RESULT_BYTES - len(self.data)
            self.data += piece[: max(0, room)]

    def finish(self) -> None:
        """Read the rest and close the pipe."""
        self.over.set()
        self.join()
        os.close(self.fd)


def frames(api: Any, container: str) -> Iterable[tuple[int, bytes]]:
    """Yield a container's output from now on as (stream, bytes), until it ends. Call it before the
    container is started."""
    from docker.utils.socket import frames_iter

    socket = api.attach_socket(container, params={"stdout": 1, "stderr": 1, "stream": 1, "logs": 0})
    stream: Iterable[tuple[int, bytes]] = frames_iter(socket, tty=False)
    return stream
