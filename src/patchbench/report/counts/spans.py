"""Compute the spans of time in which slots and builds were busy, on the lanes of a machine."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Sequence
from typing import Any

import pandas as pd

from patchbench.report.frames import records
from patchbench.report.model import Span

# A longer time in which nothing runs is a pause: the campaign was stopped and went on later.
PAUSE_SECONDS = 600.0
# Launches of one block with a shorter gap between them are one span if they ended alike, in a large
# campaign even if they did not.
TOGETHER_SECONDS = 1.0
LARGE = 5000
BUILDS, FAULTS = "builds", "faults"

Times = tuple[float, float]


def pauses(spans: Iterable[Times]) -> tuple[Times, ...]:
    """Return the long times between spans in which nothing ran."""
    out = []
    latest: float | None = None
    for start, end in sorted(spans):
        if latest is not None and start - latest > PAUSE_SECONDS:
            out.append((latest, start))
        latest = end if latest is None else max(latest, end)
    return tuple(out)


def active_time(spans: Sequence[Times]) -> tuple[float, int]:
    """Return the seconds from the first start to the last end less pauses, and the number of
    pauses."""
    if not spans:
        return 0.0, 0
    left_out = pauses(spans)
    whole = max(end for _, end in spans) - min(start for start, _ in spans)
    return whole - sum(end - start for start, end in left_out), len(left_out)


def lanes(launches: pd.DataFrame) -> pd.Series[Any]:
    """Return the slot of each launch, with its host if there are several hosts."""
    slots = "slot " + launches["gpu_slot"].where(launches["gpu_slot"] != "", "0")
    return launches["host"] + " " + slots if launches["host"].nunique() > 1 else slots


def launch_spans(timed: pd.DataFrame) -> tuple[Span, ...]:
    """Return launches on their lanes; those of one block that follow each other are one span."""
    large = len(timed) > LARGE
    ordered = timed.sort_values(["lane", "start"], kind="stable")
    ordered = ordered.assign(kind="launches" if large else ordered["status"])
    before = ordered.shift()
    key = ["lane", "commit", "block", "kind"]
    gap = ordered["start"] - before["end"]
    apart = (ordered[key] != before[key]).fillna(True).any(axis=1)
    apart |= gap >= (60 * TOGETHER_SECONDS if large else TOGETHER_SECONDS)
    merged = ordered.groupby(apart.cumsum()).agg(
        {"lane": "first", "start": "first", "end": "last", "commit": "first", "kind": "first"}
    )
    return records(merged, Span)


def build_spans(events: pd.DataFrame) -> list[Span]:
    """Return builds of images from the disk's events: a commit's builds end in the order in which
    they began, as far as the events tell."""
    begun: dict[str, deque[float]] = defaultdict(deque)
    out = []
    for at, event, commit in zip(events["at"], events["event"], events["commit"], strict=True):
        if event == "build":
            begun[commit].append(at)
        elif event == "built" and begun[commit]:
            start = begun[commit].popleft()
            out.append(Span(lane=BUILDS, start=start, end=at, commit=commit, kind="build"))
    return out
