"""What the machine did: launches, builds, disks, faults, and how busy its slots were."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from statistics import median
from typing import Any

from patchbench.report.counts.rows import Row
from patchbench.report.counts.spans import (
    BUILDS,
    FAULTS,
    Timed,
    active_time,
    build_spans,
    gpu_spans,
    launch_spans,
)
from patchbench.report.model import DiskSample, Machine, Span
from patchbench.report.read_tables import Launch
from patchbench.report.recorded import Recorded


def machine(launches: Sequence[Launch], patches: Sequence[Row], recorded: Recorded) -> Machine:
    """Everything about the machine. Nothing here decides about a patch."""
    real = [launch for launch in launches if launch.launched]
    moments = {at for launch in real for at in (launch.started, launch.ended) if at}
    disk_events, fault_events = recorded.disk, [e for e in recorded.faults if e.cause]
    zero = min((*moments, *(e.at for e in disk_events), *(e.at for e in fault_events)), default="")
    timed = [
        Timed(launch, _since(zero, launch.started), _since(zero, launch.ended))
        for launch in real
        if launch.started and launch.ended
    ]
    spans = [*launch_spans(timed), *build_spans((_since(zero, e.at), e) for e in disk_events)]
    active, pauses = active_time([(span.start, span.end) for span in spans])
    faults = [_fault(_since(zero, e.at), e.commit, e.cause) for e in fault_events]
    return Machine(
        launches=len(real),
        not_launched=len(launches) - len(real),
        launch_seconds=sum(t.end - t.start for t in timed),
        origin=zero,
        first=min(moments, default=""),
        last=max(moments, default=""),
        active_seconds=active,
        pauses=pauses,
        busy=_busy(spans, active),
        stages=dict(recorded.stages),
        **_builds(patches),
        **_disk(recorded),
        faults=dict(Counter(event.cause for event in fault_events).most_common()),
        repeated=dict(recorded.repeated),
        cut_short=recorded.cut_short,
        infra_outcomes=sum(launch.blame == "infra" for launch in launches),
        hosts=_names(launch.host for launch in real),
        runtimes=_names(launch.runtime for launch in real),
        versions=_names(launch.versions for launch in real),
        load=median(map(float, loads)) if (loads := _loads(real)) else None,
        **_gpus(timed),
        gpu_spans=tuple(gpu_spans(timed)),
        spans=(*spans, *faults),
        disk=tuple(
            DiskSample(
                at=_since(zero, event.at),
                event=event.event,
                engine_free=event.engine_free,
                engine_total=event.engine_total,
                results_free=event.results_free,
                images=event.images,
                commits=event.commits,
                seconds=event.seconds,
            )
            for event in disk_events
        ),
    )


def _since(zero: str, at: str | None) -> float:
    """Seconds from one moment to another."""
    if not at:
        return 0.0
    passed = datetime.fromisoformat(at) - datetime.fromisoformat(zero)
    return round(passed.total_seconds(), 3)


def _fault(at: float, commit: str, cause: str) -> Span:
    return Span(lane=FAULTS, start=at, end=at, commit=commit, kind=cause)


def _busy(spans: Iterable[Span], active: float) -> dict[str, float]:
    """The share of the active time that each slot was held by a launch."""
    seconds: dict[str, float] = defaultdict(float)
    for span in spans:
        if span.lane != BUILDS:
            seconds[span.lane] += span.end - span.start
    return {lane: min(1.0, busy / active) for lane, busy in sorted(seconds.items()) if active}


def _builds(patches: Sequence[Row]) -> dict[str, Any]:
    built = [float(row["build_seconds"]) for row in patches if row.get("build_seconds")]
    return {"images": len(built), "build_seconds": sum(built)}


def _disk(recorded: Recorded) -> dict[str, Any]:
    """How full the disk became, and what was done about it."""
    events = recorded.disk
    count = Counter(event.event for event in events)
    waits = [event.seconds for event in events if event.event == "waited"]
    measured = [event for event in events if event.engine_total]
    return {
        "disk_peak": max((1 - e.engine_free / e.engine_total for e in measured), default=None),
        "disk_free_least": min((event.engine_free for event in measured), default=None),
        "images_most": max((event.images for event in events), default=0),
        "commits_most": max((event.commits for event in events), default=0),
        "reclaims": count["reclaimed"],
        "releases": count["released"],
        "waits": len(waits),
        "wait_seconds": sum(waits),
        "refusals": count["refused"],
    }


def _gpus(timed: Sequence[Timed]) -> dict[str, Any]:
    """Which GPUs there were, for what share of the launches' time they worked, and how."""
    launches = [found.launch for found in timed]
    shares = [
        (found.end - found.start, found.launch.gpu_working)
        for found in timed
        if found.launch.gpu_working is not None
    ]
    seconds = sum(length for length, _ in shares)
    clocks = [one.gpu_sm_mhz for one in launches if one.gpu_sm_mhz is not None]
    watts = [one.gpu_power_w for one in launches if one.gpu_power_w is not None]
    degrees = [one.gpu_temperature_c for one in launches if one.gpu_temperature_c is not None]
    reasons = Counter(reason for one in launches for reason in (one.gpu_throttle or "").split())
    models = {
        ", driver ".join(filter(None, (one.gpu_model, one.gpu_driver)))
        for one in launches
        if one.gpu_model
    }
    return {
        "gpus": tuple(sorted(models)),
        "gpu_working": sum(length * share for length, share in shares) / seconds
        if seconds
        else None,
        "gpu_sm_mhz": median(clocks) if clocks else None,
        "gpu_power_w": median(watts) if watts else None,
        "gpu_temperature_c": max(degrees, default=None),
        "throttled": dict(reasons.most_common()),
    }


def _names(found: Iterable[str | None]) -> tuple[str, ...]:
    return tuple(sorted({name for name in found if name}))


def _loads(launches: Sequence[Launch]) -> list[str]:
    """Load averages, of those that recorded one."""
    return [launch.load_1min for launch in launches if launch.load_1min]
