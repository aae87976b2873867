"""Capped logs: a process's output in a file that can't fill the disk."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from patchbench.errors import InfraFault
from patchbench.system.files import disk_fault
from patchbench.system.raw_logs import LONGEST

HEAD = TAIL = 16 << 20


class Capped:
    """A log that keeps its first ``head`` and last ``tail`` bytes, cut at line ends if there are
    any near, and a line between them that says how much was left out.

    The head is written at once; the tail waits in memory until ``close``. The first error of the
    file system is kept in ``failed``, and what comes later is dropped: the reader of a process's
    output must go on reading, or the process would block and look as if it hung.
    """

    def __init__(self, path: Path, head: int = HEAD, tail: int = TAIL) -> None:
        self.path, self.tail = path, tail
        self.left_out = 0
        self._room = head
        self._torn = b""  # the head's last line, if it doesn't end within the head
        self._at_line = True  # True if the file ends with a whole line
        self._blocks: deque[bytes] = deque()
        self._open = bytearray()  # small chunks, joined before they become a block
        self._waiting = 0
        self._before = b""  # the last byte that was dropped
        self._file: IO[bytes] | None = None
        self.failed: InfraFault | None = None
        with self._errors():
            self._file = path.open("wb")

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self.failed = self.failed or disk_fault(self.path, error)

    def write(self, data: bytes) -> None:
        """Take the next bytes of the log."""
        if self.failed is not None:
            return
        if self._room:
            data = self._to_head(data)
        if len(data) > self.tail:  # nothing before it can stay
            self._drop(bytes(self._open))
            while self._blocks:
                self._drop(self._blocks.popleft())
            self._open.clear()
            over = len(data) - self.tail
            self._waiting += over
            self._drop(data[:over])
            data = data[over:]
        self._open += data
        self._waiting += len(data)
        if len(self._open) >= LONGEST:
            self._blocks.append(bytes(self._open))
            self._open.clear()
        while self._blocks and self._waiting - len(self._blocks[0]) >= self.tail:
            self._drop(self._blocks.popleft())

    def _drop(self, data: bytes) -> None:
        self._waiting -= len(data)
        self.left_out += len(data)
        self._before = data[-1:] or self._before

    def _to_head(self, data: bytes) -> bytes:
        """Write as much as the head still takes; return the rest."""
        fits, rest = data[: self._room], data[self._room :]
        self._room -= len(fits)
        if rest:
            self._room = 0
            cut = fits.rfind(b"\n") + 1
            if (cut or self._at_line) and len(fits) - cut <= LONGEST:
                fits, self._torn = fits[:cut], fits[cut:]
        self._put(fits)
        self._at_line = fits.endswith(b"\n") if fits else self._at_line
        return rest

    def close(self) -> None:
        """Write the tail, and before it the line about what was left out, if anything was."""
        if self._file is None:
            return
        self._blocks.append(bytes(self._open))
        tail = memoryview(b"".join(self._blocks))
        self._blocks.clear()
        if self.left_out or len(tail) > self.tail:
            tail = tail[self._start(tail) :]
            self.left_out += len(self._torn) + self._waiting - len(tail)
            mark = f"[patchbench: {self.left_out} bytes left out here]\n".encode()
            self._put(mark if self._at_line else b"\n" + mark)
        else:
            self._put(self._torn)
        self._put(tail)
        with self._errors():
            self._file.close()
        self._file = None

    def _start(self, tail: memoryview) -> int:
        """Return where the tail begins: at a whole line, since the rest of a torn one would look
        like a line of its own."""
        start = max(len(tail) - self.tail, 0)
        before = bytes(tail[start - 1 : start]) if start else self._before
        if before == b"\n":
            return start
        return start + bytes(tail[start : start + LONGEST]).find(b"\n") + 1

    def _put(self, data: bytes | memoryview) -> None:
        if self._file is not None and self.failed is None:
            with self._errors():
                self._file.write(data)
                self._file.flush()
