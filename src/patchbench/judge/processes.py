"""Processes that share a window's load; they stay for all windows of a launch.

They begin together, and none reads its replies before all have ended, so that no window is
disturbed by another process's work.
"""

from __future__ import annotations

import asyncio
import math
import multiprocessing
import os
import pickle
import time
from contextlib import ExitStack
from multiprocessing.connection import Connection
from types import TracebackType

import msgspec

from patchbench.judge.load import Part, Raw, run_part, split
from patchbench.judge.record import Answer, Watch

IN_FLIGHT = 256  # requests under way that one process is given
HEAD_START = 50_000_000  # nanoseconds until the last of several processes has heard of the begin


def process_count(in_flight: int, cores: int | None = None) -> int:
    """Return how many processes a load takes: one per 256 requests under way, no more than
    cores."""
    cores = cores or len(os.sched_getaffinity(0))
    return max(1, min(cores, math.ceil(in_flight / IN_FLIGHT)))


class Workers:
    """Runs windows on one process or several. Use as a context manager."""

    def __init__(self, count: int) -> None:
        self.count = count
        self._pipes: list[Connection] = []
        self._stack = ExitStack()

    def __enter__(self) -> Workers:
        if self.count > 1:
            context = multiprocessing.get_context("spawn")
            for _ in range(self.count):
                ours, theirs = context.Pipe()
                process = context.Process(target=_serve, args=(theirs,), daemon=True)
                process.start()
                theirs.close()
                self._pipes.append(ours)
                self._stack.callback(process.join, 10)
                self._stack.callback(ours.close)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()

    def run(self, part: Part) -> tuple[int, list[Answer], list[Watch]]:
        """Send a window's requests; return its begin (nanoseconds of the monotonic clock), the
        answers in order and how each process did."""
        parts = split(part, self.count)
        if len(parts) == 1 or not self._pipes:
            raw = asyncio.run(run_part(part, time.monotonic_ns))
            return raw.begin, raw.answers(), [raw.watch]
        pipes = self._pipes[: len(parts)]
        for pipe, share in zip(pipes, parts, strict=True):
            pipe.send_bytes(pickle.dumps(share))
        for pipe in pipes:
            pipe.recv_bytes()  # ready
        begin = time.monotonic_ns() + HEAD_START
        for pipe in pipes:
            pipe.send_bytes(begin.to_bytes(8, "little"))
        for pipe in pipes:
            pipe.recv_bytes()  # ended
        for pipe in pipes:
            pipe.send_bytes(b"read")
        answers: list[Answer] = []
        watches: list[Watch] = []
        for pipe in pipes:
            watch, some = msgspec.msgpack.decode(pipe.recv_bytes(), type=tuple[Watch, list[Answer]])
            watches.append(watch)
            answers += some
        return begin, sorted(answers, key=lambda answer: answer.index), watches


def _serve(pipe: Connection) -> None:
    """Send parts until the other end closes."""
    while True:
        try:
            part: Part = pickle.loads(pipe.recv_bytes())
        except EOFError:
            return

        def begins() -> int:
            pipe.send_bytes(b"ready")
            return int.from_bytes(pipe.recv_bytes(), "little")

        raw: Raw = asyncio.run(run_part(part, begins))
        pipe.send_bytes(b"ended")
        pipe.recv_bytes()
        pipe.send_bytes(msgspec.msgpack.encode((raw.watch, raw.answers())))
