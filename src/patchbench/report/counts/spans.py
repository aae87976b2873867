"""When slots and builds were busy: spans of time on the lanes of a machine."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from patchbench.ledger.disk_log import DiskEvent
from patchbench.report.model import GpuSpan, Span
from patchbench.report.read_tables import Launch

# A longer time in which nothing runs is a pause: a campaign that was stopped and went on later.
PAUSE_SECONDS = 600.0
# Launches of one block that follow each other so closely are one span, if they ended alike; in a
# large campaign however they ended.
TOGETHER_SECONDS = 1.0
LARGE = 5000
BUILDS, FAULTS = "builds", "faults"

Times = tuple[float, float]


class Timed(NamedTuple):
    """A launch with its times, seconds since the campaign's first event."""

    launch: Launch
    start: float
    end: float


def pauses(spans: Iterable[Times]) -> tuple[Times, ...]:
    """The times between spans in which nothing ran for long."""
    out = []
    latest: float | None = None
    for start, end in sorted(spans):
        if latest is not None and start - latest > PAUSE_SECONDS:
            out.append((latest, start))
        latest = end if latest is None else max(latest, end)
    return tuple(out)


def active_time(spans: Sequence[Times]) -> tuple[float, int]:
    """Seconds from the first start to the last end less pauses, and how many pauses there were."""
    if not spans:
        return 0.0, 0
    left_out = pauses(spans)
    whole = max(end for _, end in spans) - min(start for start, _ in spans)
    return whole - sum(end - start for start, end in left_out), len(left_out)


def launch_spans(timed: Sequence[Timed]) -> list[Span]:
    """Launches on their GPU slots; those of one block that follow each other are one span."""
    large = len(timed) > LARGE
    hosts = {found.launch.host for found in timed}
    out: list[Span] = []
    last: tuple[str, str, int, str] | None = None
    for lane, found in sorted(
        ((_lane(found.launch, len(hosts) > 1), found) for found in timed),
        key=lambda pair: (pair[0], pair[1].start),
    ):
        launch = found.launch
        kind = "launches" if large else launch.status
        key = (lane, launch.commit, launch.block, kind)
        gap = 60 * TOGETHER_SECONDS if large else TOGETHER_SECONDS
        goes_on = key == last and found.start - out[-1].end < gap
        start = out.pop().start if goes_on else found.start
        out.append(Span(lane=lane, start=start, end=found.end, commit=launch.commit, kind=kind))
        last = key
    return out


def gpu_spans(timed: Sequence[Timed]) -> list[GpuSpan]:
    """What the GPUs did in each launch that recorded it."""
    hosts = {found.launch.host for found in timed}
    return [
        GpuSpan(
            lane=_lane(found.launch, len(hosts) > 1),
            start=found.start,
            end=found.end,
            sm_mhz=found.launch.gpu_sm_mhz,
            power_w=found.launch.gpu_power_w,
            throttle=found.launch.gpu_throttle or "",
        )
        for found in timed
        if found.launch.gpu_sm_mhz is not None or found.launch.gpu_power_w is not None
    ]


def _lane(launch: Launch, several_hosts: bool) -> str:
    """The slot of a launch, with its host where there are several."""
    slot = f"slot {launch.gpu_slot or 0}"
    return f"{launch.host} {slot}" if several_hosts else slot


def build_spans(events: Iterable[tuple[float, DiskEvent]]) -> list[Span]:
    """Builds of images: a commit's builds end in the order in which they began, as far as the
    disk's events tell."""
    begun: dict[str, deque[float]] = defaultdict(deque)
    out = []
    for at, event in events:
        if event.event == "build":
            begun[event.commit].append(at)
        elif event.event == "built" and begun[event.commit]:
            start = begun[event.commit].popleft()
            out.append(Span(lane=BUILDS, start=start, end=at, commit=event.commit, kind="build"))
    return out
