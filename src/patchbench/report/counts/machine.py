"""Count the work of the machine: launches, builds, disks, faults, and the use of its slots."""

from __future__ import annotations

from typing import Any

import msgspec
import pandas as pd

from patchbench.ledger.disk_log import DiskEvent
from patchbench.report.counts.spans import (
    BUILDS,
    FAULTS,
    active_time,
    build_spans,
    lanes,
    launch_spans,
)
from patchbench.report.frames import most_common, records
from patchbench.report.model import DiskSample, GpuSpan, Machine, Span
from patchbench.report.recorded import Recorded

GPU_SPAN = {"gpu_sm_mhz": "sm_mhz", "gpu_power_w": "power_w", "gpu_throttle": "throttle"}


def machine(launches: pd.DataFrame, patches: pd.DataFrame, recorded: Recorded) -> Machine:
    """Return everything about the machine. Nothing here decides about a patch."""
    real = launches[launches["launched"]]
    timed = real[(real["started"] != "") & (real["ended"] != "")]
    moments = set(real["started"]) | set(real["ended"]) - {""}
    disk = pd.DataFrame(
        [msgspec.structs.asdict(event) for event in recorded.disk],
        columns=list(DiskEvent.__struct_fields__),
    )
    faults = [event for event in recorded.faults if event.cause]
    zero = min((*moments, *disk["at"], *(event.at for event in faults)), default="")
    timed = timed.assign(
        start=seconds(timed["started"], zero), end=seconds(timed["ended"], zero), lane=lanes(timed)
    )
    disk = disk.assign(at=seconds(disk["at"], zero))
    fault_times = seconds(pd.Series([event.at for event in faults], dtype=object), zero)
    spans = [*launch_spans(timed), *build_spans(disk)]
    active, pauses = active_time([(span.start, span.end) for span in spans])
    loads = pd.to_numeric(real["load_1min"], errors="coerce").dropna()
    builds = patches.loc[patches["build_seconds"] > 0, "build_seconds"]
    with_gpu = timed[timed["gpu_sm_mhz"].notna() | timed["gpu_power_w"].notna()]
    return Machine(
        launches=len(real),
        not_launched=len(launches) - len(real),
        launch_seconds=float((timed["end"] - timed["start"]).sum()),
        origin=zero,
        first=min(moments, default=""),
        last=max(moments, default=""),
        active_seconds=active,
        pauses=pauses,
        busy=_busy(spans, active),
        stages=dict(recorded.stages),
        images=len(builds),
        build_seconds=float(builds.sum()),
        **_disk(disk),
        faults=most_common(pd.Series([event.cause for event in faults], dtype=object)),
        repeated=dict(recorded.repeated),
        cut_short=recorded.cut_short,
        infra_outcomes=int((launches["blame"] == "infra").sum()),
        hosts=_names(real["host"]),
        runtimes=_names(real["runtime"]),
        versions=_names(real["versions"]),
        load=float(loads.median()) if len(loads) else None,
        **_gpus(timed),
        gpu_spans=records(with_gpu.rename(columns=GPU_SPAN), GpuSpan),
        spans=(
            *spans,
            *(
                Span(lane=FAULTS, start=at, end=at, commit=event.commit, kind=event.cause)
                for at, event in zip(fault_times, faults, strict=True)
            ),
        ),
        disk=records(disk, DiskSample),
    )


def seconds(moments: pd.Series[Any], zero: str) -> pd.Series[Any]:
    """Return the seconds from ``zero`` to ISO 8601 moments, to the millisecond."""
    if moments.empty:
        return moments.astype(float)
    times = pd.to_datetime(moments, utc=True, format="ISO8601")
    return (times - pd.to_datetime(zero, utc=True)).dt.total_seconds().round(3)


def _busy(spans: list[Span], active: float) -> dict[str, float]:
    """Return the share of the active time in which a launch ran on each slot."""
    totals: dict[str, float] = {}
    for span in spans:
        if span.lane != BUILDS:
            totals[span.lane] = totals.get(span.lane, 0.0) + span.end - span.start
    return {lane: min(1.0, busy / active) for lane, busy in sorted(totals.items()) if active}


def _disk(events: pd.DataFrame) -> dict[str, Any]:
    """Return how full the disk became, with the waits and removals that followed."""
    count = events["event"].value_counts()
    waits = events.loc[events["event"] == "waited", "seconds"]
    sized = events[events["engine_total"] > 0]
    known = len(sized) > 0
    used = 1 - sized["engine_free"] / sized["engine_total"]
    return {
        "disk_peak": float(used.max()) if known else None,
        "disk_free_least": int(sized["engine_free"].min()) if known else None,
        "images_most": int(events["images"].max()) if len(events) else 0,
        "commits_most": int(events["commits"].max()) if len(events) else 0,
        "reclaims": int(count.get("reclaimed", 0)),
        "releases": int(count.get("released", 0)),
        "waits": len(waits),
        "wait_seconds": float(waits.sum()),
        "refusals": int(count.get("refused", 0)),
    }


def _gpus(timed: pd.DataFrame) -> dict[str, Any]:
    """Return the GPUs' names, the share of the launches' time in which they worked, and the means
    of their figures."""
    with_gpu = timed[timed["gpu_working"].notna()]
    length = with_gpu["end"] - with_gpu["start"]
    named = timed[timed["gpu_model"] != ""]
    drivers = (", driver " + named["gpu_driver"]).where(named["gpu_driver"] != "", "")
    return {
        "gpus": _names(named["gpu_model"] + drivers),
        "gpu_working": _number((length * with_gpu["gpu_working"]).sum() / length.sum())
        if length.sum()
        else None,
        "gpu_sm_mhz": _number(timed["gpu_sm_mhz"].median()),
        "gpu_power_w": _number(timed["gpu_power_w"].median()),
        "gpu_temperature_c": _number(timed["gpu_temperature_c"].max()),
        "throttled": most_common(timed["gpu_throttle"].str.split().explode().fillna("")),
    }


def _number(value: float) -> float | None:
    return None if pd.isna(value) else float(value)


def _names(texts: pd.Series[Any]) -> tuple[str, ...]:
    return tuple(sorted(set(texts) - {""}))
