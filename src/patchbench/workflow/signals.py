"""Snakemake's answer to SIGTERM, given so that it can't hang."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from contextlib import suppress
from types import FrameType


def answer_aside(number: signal.Signals, first: Callable[[], None] = lambda: None) -> None:
    """Have the present handler of a signal called from a thread of its own, after ``first``. If
    ``first`` fails for want of a disk, the signal is answered all the same, without a message.

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
