"""The judge's watch over itself: lateness of its sends and timers, its share of a core.

A window in which the judge was late says nothing about the server (``harness.judge_saturated``).
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterator, Sequence

from patchbench.judge.percentiles import percentile
from patchbench.judge.record import Watch

TICK = 0.01  # seconds between looks at the event loop
MAX_SEND_LAG = 5.0  # milliseconds, at p99
SMALL = 0.02
MAX_LOOP_LAG = 5.0
MAX_CPU = 0.85  # of one core
ENOUGH = 100  # values


class Lateness:
    """Collects how late one process was."""

    def __init__(self) -> None:
        self._sends: list[int] = []
        self._ticks: list[int] = []
        self._wall = time.monotonic_ns()
        self._cpu = time.process_time_ns()

    def sent(self, late_ns: int) -> None:
        """Take the lateness of one request that nothing but the judge delayed."""
        self._sends.append(late_ns)

    async def tick(self) -> None:
        """Look at the event loop until cancelled."""
        while True:
            before = time.monotonic_ns()
            await asyncio.sleep(TICK)
            self._ticks.append(time.monotonic_ns() - before - round(TICK * 1e9))

    def result(self) -> Watch:
        """Return the figures since the beginning."""
        wall = max(time.monotonic_ns() - self._wall, 1)
        sends, ticks = sorted(self._sends), sorted(self._ticks)
        return Watch(
            sends=len(sends),
            send_lag_p50=_ms(sends, 50),
            send_lag_p99=_ms(sends, 99),
            send_lag_max=_ms(sends, 100),
            ticks=len(ticks),
            loop_lag_p50=_ms(ticks, 50),
            loop_lag_p99=_ms(ticks, 99),
            loop_lag_max=_ms(ticks, 100),
            real_time=os.sched_getscheduler(0) == os.SCHED_RR,
            cpu=round((time.process_time_ns() - self._cpu) / wall, 4),
        )


def _ms(values: Sequence[int], rank: float) -> float:
    return round(percentile(values, rank) / 1e6, 4) if values else 0.0


def saturation(watches: Sequence[Watch], ttft: float = 0.0) -> str:
    """Return which figure says that the judge was too slow, with its limit; empty if none does.

    Where hundreds of requests are due at once the last is sent some milliseconds late: a lag of
    ``SMALL`` of the window's median TTFT (milliseconds) is let pass. A percentile of fewer than
    ``ENOUGH`` values would be its maximum: the median stands for it."""
    allowed = max(MAX_SEND_LAG, SMALL * ttft)
    return "; ".join(dict.fromkeys(text for watch in watches for text in _over(watch, allowed)))


def _over(watch: Watch, allowed: float) -> Iterator[str]:
    sends, ticks = watch.sends >= ENOUGH, watch.ticks >= ENOUGH
    send = ("p99", watch.send_lag_p99) if sends else ("median", watch.send_lag_p50)
    loop = ("p99", watch.loop_lag_p99) if ticks else ("median", watch.loop_lag_p50)
    if send[1] > allowed:
        yield f"send lag {send[0]} {send[1]:.2f} ms (limit {allowed:.4g})"
    if loop[1] > MAX_LOOP_LAG:
        yield f"event loop lag {loop[0]} {loop[1]:.2f} ms (limit {MAX_LOOP_LAG:g})"
    if ticks and watch.cpu > MAX_CPU:
        yield f"processor {watch.cpu:.2f} of a core (limit {MAX_CPU:g})"
