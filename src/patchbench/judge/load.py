"""Load of one process: sends a window's requests when they are due and collects the replies."""

from __future__ import annotations

import asyncio
import gc
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from patchbench.judge.client import Request, read_answer, send
from patchbench.judge.connection import Address, Reply
from patchbench.judge.connections import Connections
from patchbench.judge.priority import first_served
from patchbench.judge.record import Answer, Watch
from patchbench.judge.watch import Lateness
from patchbench.load import AllAtOnce, Batch, ClosedLoop, Shape

# The event loop's timers (epoll) count whole milliseconds. In the last SPIN seconds before a moment
# it is polled instead, unless moments follow each other so closely that this would take a core.
SPIN = 0.0015
SPARSE = 0.005
OPEN_LOOP, MAX_OPEN = 8, 512  # connections opened before a window


@dataclass(frozen=True)
class Part:
    """The share of one process in a window. ``concurrency`` is its own (0: no limit);
    ``real_time`` asks for priority over other processes."""

    address: Address
    shape: Shape
    requests: tuple[Request, ...]
    concurrency: int
    request_limit: float
    window_limit: float
    real_time: bool = False


@dataclass
class Raw:
    """Replies as they came: request, due time from the window's begin, reply."""

    begin: int
    replies: list[tuple[Request, int, Reply]]
    watch: Watch

    def answers(self) -> list[Answer]:
        """Return the answers that the replies hold, in the order of requests."""
        read = [
            read_answer(request, reply, self.begin, due) for request, due, reply in self.replies
        ]
        return sorted(read, key=lambda answer: answer.index)


class _Sender:
    """Sends the requests of one part."""

    def __init__(self, part: Part, begin: int, connections: Connections) -> None:
        self.part, self.begin, self.connections = part, begin, connections
        self.end = begin + round(part.window_limit * 1e9)
        self.lateness = Lateness()
        self.replies: list[tuple[Request, int, Reply]] = []

    async def one(self, request: Request, ready: int) -> int:
        """Send one request. ``ready`` is when nothing but the judge kept it from being sent;
        returns when its reply ended (both nanoseconds of the monotonic clock)."""
        due = ready if request.due is None else self.begin + request.due
        left = (self.end - time.monotonic_ns()) / 1e9
        if left > 0:
            reply = await send(
                self.connections,
                request,
                min(left, self.part.request_limit),
                lambda: self.lateness.sent(time.monotonic_ns() - ready),
            )
        else:
            now = time.monotonic_ns()
            reply = Reply(sent=now, end=now, error="not_sent")
        self.replies.append((request, due - self.begin, reply))
        return reply.end

    async def open_loop(self) -> None:
        """Send each request at its due time, whatever became of the ones before."""
        slots = asyncio.Semaphore(self.part.concurrency) if self.part.concurrency else None
        last = self.begin
        async with asyncio.TaskGroup() as group:
            for request in self.part.requests:
                due = self.begin + (request.due or 0)
                await until(due, SPIN if due - last > SPARSE * 1e9 else 0.0)
                last = due
                group.create_task(self._in_slot(request, due, slots))

    async def _in_slot(self, request: Request, due: int, slots: asyncio.Semaphore | None) -> None:
        if slots is None:
            await self.one(request, due)
            return
        waits = slots.locked()
        async with slots:
            await self.one(request, time.monotonic_ns() if waits else due)

    async def closed_loop(self) -> None:
        """Keep the part's number of requests under way."""
        waiting = deque(self.part.requests)

        async def worker() -> None:
            ready = self.begin
            while waiting:
                ready = await self.one(waiting.popleft(), ready)

        async with asyncio.TaskGroup() as group:
            for _ in range(self.part.concurrency):
                group.create_task(worker())

    async def batches(self, size: int) -> None:
        """Send ``size`` requests together, the next when all have ended."""
        ready = self.begin
        for start in range(0, len(self.part.requests), size):
            group = self.part.requests[start : start + size]
            ready = max(await asyncio.gather(*(self.one(r, ready) for r in group)))


async def run_part(part: Part, begins: Callable[[], int]) -> Raw:
    """Open connections, ask ``begins`` when the window begins (nanoseconds of the monotonic
    clock), and send one part's requests from then on."""
    connections = Connections(part.address)
    with _no_collection(), first_served(part.real_time):
        await connections.open(_at_begin(part))
        begin = begins()
        await until(begin)
        sender = _Sender(part, begin, connections)
        ticker = asyncio.create_task(sender.lateness.tick())
        try:
            if isinstance(part.shape, ClosedLoop):
                await sender.closed_loop()
            elif isinstance(part.shape, Batch):
                await sender.batches(part.shape.size)
            else:
                await sender.open_loop()
        finally:
            watch = sender.lateness.result()
            ticker.cancel()
            with suppress(asyncio.CancelledError):
                await ticker
            connections.close()
    return Raw(begin, sender.replies, watch)


def _at_begin(part: Part) -> int:
    """Return how many requests go out when the window begins: each finds a connection open."""
    if isinstance(part.shape, AllAtOnce):
        count = part.concurrency or len(part.requests)
    elif isinstance(part.shape, Batch):
        count = part.shape.size
    else:
        count = part.concurrency or OPEN_LOOP
    return min(count, MAX_OPEN)


async def until(moment: int, spin: float = SPIN) -> None:
    """Wait until a moment of the monotonic clock, nanoseconds; other work goes on meanwhile. The
    last ``spin`` seconds are polled."""
    while (left := (moment - time.monotonic_ns()) / 1e9) > 0:
        await asyncio.sleep(left - spin if left > spin else 0)


@contextmanager
def _no_collection() -> Iterator[None]:
    """Keep Python's collector from pausing a window; references alone free memory meanwhile."""
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.unfreeze()


def split(part: Part, count: int) -> Sequence[Part]:
    """Share a part among ``count`` processes: requests in turn, concurrency as evenly as can be.
    A batch is never shared: its requests go out together."""
    if count == 1 or isinstance(part.shape, Batch):
        return [part]
    if part.concurrency:
        count = min(count, part.concurrency)
    return [
        Part(
            part.address,
            part.shape,
            part.requests[n::count],
            part.concurrency // count + (n < part.concurrency % count),
            part.request_limit,
            part.window_limit,
            part.real_time,
        )
        for n in range(count)
    ]
