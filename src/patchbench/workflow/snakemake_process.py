"""What Snakemake's own process needs from us: an answer to SIGTERM that can't hang, output that
nobody need read, and a temporary folder that is found again if the process is killed.
"""

from __future__ import annotations

import atexit
import logging
import os
import signal
import tempfile
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import TextIO

from patchbench.system.files import FULL, temporary_prefix


def answer_aside(number: signal.Signals, first: Callable[[], None] = lambda: None) -> None:
    """Have the present handler of a signal called from a thread of its own, after ``first``, which
    may fail for want of a disk: the signal is answered all the same, without a word of it.
    Snakemake's handler takes a lock that the main thread, in which signals are handled, may hold:
    it would wait for itself."""
    handler = signal.getsignal(number)
    if not callable(handler):
        return

    def answer(got: int, frame: FrameType | None) -> None:
        try:
            with suppress(OSError):
                first()
        finally:
            handler(got, frame)

    def aside(got: int, frame: FrameType | None) -> None:
        threading.Thread(target=answer, args=(got, frame), daemon=True).start()

    signal.signal(number, aside)


def claim(folder: Path) -> None:
    """Let a temporary folder that this process did not name itself be found by its process id, as
    ``files.remove_dead_temporaries`` looks for ours: by a link, for as long as we live."""
    link = Path(tempfile.gettempdir()) / f"{temporary_prefix()}link"
    with suppress(OSError):  # a full disk: then the folder is nobody's
        link.symlink_to(folder)
        atexit.register(link.unlink, missing_ok=True)


class Unread:
    """A stream that may be written to after its reader has gone (`| head`, a closed terminal): then
    what is printed goes nowhere, also for processes started later. Snakemake raises in the thread
    that ends a job else, and waits for that job for ever. If it is a file on a disk that is full
    (Snakemake's own log), lines are missing there, and nobody is told so by a traceback."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream

    def write(self, text: str) -> int:
        """Write, or drop it."""
        try:
            return self.stream.write(text)
        except OSError as error:
            return self._lose(error)

    def flush(self) -> None:
        """Flush, or don't."""
        try:
            self.stream.flush()
        except OSError as error:
            self._lose(error)

    def _lose(self, error: OSError) -> int:
        """What can't be written is lost; any other fault is not."""
        if isinstance(error, BrokenPipeError):
            return self._give_up()
        if error.errno not in FULL:
            raise error
        return 0

    def _give_up(self) -> int:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self.stream.fileno())
        os.close(nowhere)
        return 0

    def __getattr__(self, name: str) -> object:
        return getattr(self.stream, name)


def outlive_readers(logger: logging.Logger) -> None:
    """Let a logger's handlers go on when nobody reads any more what they print."""
    for handler in logger.handlers:
        if isinstance(handler, logging.StreamHandler) and not isinstance(handler.stream, Unread):
            handler.setStream(Unread(handler.stream))
