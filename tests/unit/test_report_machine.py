"""What the report says of the machine: launches, spans, disks, faults, and what is recorded."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from patchbench.ledger import journal
from patchbench.ledger.disk_log import DiskEvent
from patchbench.ledger.disk_log import write as log_disk
from patchbench.ledger.machine_faults import FaultEvent
from patchbench.report import recorded
from patchbench.report.counts.machine import machine as count_machine
from patchbench.report.counts.spans import PAUSE_SECONDS, active_time
from patchbench.report.layout.machine import facts
from patchbench.report.model import Machine
from patchbench.report.read_tables import of
from patchbench.report.recorded import Recorded
from patchbench.system.files import append_line
from tests.unit import reports

START = datetime(2026, 1, 1, 10, tzinfo=UTC)
A, B = reports.COMMITS[:2]


def at(seconds: float) -> str:
    return (START + timedelta(seconds=seconds)).isoformat(timespec="milliseconds")


def machine(rows: list[dict[str, Any]], events: Recorded) -> Machine:
    found = of(reports.tables({"runs": rows}))
    return count_machine(found.launches, found.patches, events)


def launch(arm: str, start: float, end: float, **more: Any) -> dict[str, Any]:
    row = {"commit": A, "arm": arm, "block": 1, "launched": True, "status": "measured"}
    row |= {"agreement": 1.0, "started": at(start), "ended": at(end), "host": "here"}
    place = {"runtime": "docker", "gpu_slot": "0", "load_1min": "0.50", "versions": "engine 1.0"}
    return row | place | more


def disk(moment: float, event: str, **more: Any) -> DiskEvent:
    sizes = {"engine_free": 40 << 30, "engine_total": 100 << 30, "results_free": 9 << 30}
    return DiskEvent(at=at(moment), event=event, commit=A, **(sizes | more))


def test_launches_of_a_block_that_follow_each_other_are_one_span() -> None:
    found = machine(
        [
            launch("baseline", 0, 10),
            launch("human", 10.2, 20),
            launch("alba", 20.1, 25, status="failed", blame="agent"),
            launch("brio", 25.1, 40),
            launch("baseline", 60, 70, block=2),
            launch("alba", 0, 0, block=2, launched=False),
        ],
        Recorded(),
    )
    assert [(span.start, span.end, span.kind) for span in found.spans] == [
        (0, 20, "measured"),
        (20.1, 25, "failed"),
        (25.1, 40, "measured"),
        (60, 70, "measured"),
    ]
    assert (found.launches, found.not_launched) == (5, 1)
    assert found.launch_seconds == pytest.approx(10 + 9.8 + 4.9 + 14.9 + 10)
    assert (found.first, found.last) == (at(0), at(70))


def test_busy_is_the_share_of_the_active_time_per_slot() -> None:
    found = machine(
        [launch("human", 0, 50), launch("alba", 50, 100, gpu_slot="1", block=2)], Recorded()
    )
    assert found.busy == {"slot 0": 0.5, "slot 1": 0.5}
    hosts = machine([launch("human", 0, 50), launch("alba", 0, 100, host="there")], Recorded())
    assert hosts.busy == {"here slot 0": 0.5, "there slot 0": 1.0}


def test_a_campaign_that_was_stopped_overnight_was_not_idle_all_night() -> None:
    night = 12 * 3600
    found = machine(
        [launch("human", 0, 100), launch("alba", night, night + 100, block=2)], Recorded()
    )
    assert (found.active_seconds, found.pauses) == (200, 1)
    assert found.busy == {"slot 0": 1.0}


@given(st.lists(st.tuples(st.floats(0, 1e5), st.floats(0, 1e3)), max_size=20))
def test_active_time_lies_between_the_longest_span_and_the_whole(
    found: list[tuple[float, float]],
) -> None:
    spans = [(start, start + length) for start, length in found]
    active, pauses = active_time(spans)
    if not spans:
        assert (active, pauses) == (0.0, 0)
        return
    whole = max(end for _, end in spans) - min(start for start, _ in spans)
    longest = max(end - start for start, end in spans)
    assert longest - 1e-6 <= active <= whole + 1e-6
    assert whole - active >= pauses * PAUSE_SECONDS - 1e-6
    assert pauses < len(spans)


def test_disk_events_give_the_peak_and_what_was_done() -> None:
    events = (
        disk(0, "build"),
        disk(5, "built", engine_free=30 << 30, images=4, commits=2),
        disk(6, "waited", seconds=12.0),
        disk(7, "reclaimed"),
        disk(8, "released"),
        disk(9, "refused"),
    )
    found = machine([launch("human", 1, 2)], Recorded(disk=events))
    assert found.disk_peak == pytest.approx(0.7)
    assert found.disk_free_least == 30 << 30
    assert (found.images_most, found.commits_most) == (4, 2)
    assert (found.reclaims, found.releases, found.refusals) == (1, 1, 1)
    assert (found.waits, found.wait_seconds) == (1, 12.0)
    assert [(s.lane, s.start, s.end) for s in found.spans if s.kind == "build"] == [
        ("builds", 0, 5)
    ]
    assert found.origin == at(0)
    said = dict(facts(found))
    assert said["Disk peak"] == "70.0 % of the engine's disk (30.0 GiB left)"
    assert said["Waits for disk"] == "1, 12 s in all; given up 1 time"


def test_builds_that_overlap_end_in_the_order_in_which_they_began() -> None:
    events = (disk(0, "build"), disk(1, "build"), disk(4, "built"), disk(9, "built"))
    found = machine([], Recorded(disk=events))
    assert [(span.start, span.end) for span in found.spans] == [(0, 4), (1, 9)]


def test_faults_of_the_machine_are_counted_and_placed() -> None:
    faults = (
        FaultEvent(at=at(5), run="r", cause="infra.gpu", commit=A, stage="run_benchmark"),
        FaultEvent(at=at(9), run="r", cause="", commit=A, stage="run_benchmark"),
    )
    found = machine([launch("human", 0, 10, blame="infra")], Recorded(faults=faults))
    assert found.faults == {"infra.gpu": 1}
    assert [(s.lane, s.start, s.kind) for s in found.spans if s.lane == "faults"] == [
        ("faults", 5, "infra.gpu")
    ]
    assert found.infra_outcomes == 1
    assert "faults" not in found.busy


def test_gpus_are_told_by_what_they_did_while_they_worked() -> None:
    h100 = {"gpu_model": "H100", "gpu_driver": "580.1"}
    found = machine(
        [
            launch("baseline", 0, 30, gpu_working=0.5, gpu_sm_mhz=1980.0, gpu_power_w=300.0,
                   **h100),
            launch("human", 30, 40, gpu_working=0.1, gpu_sm_mhz=1500.0, gpu_power_w=310.0,
                   gpu_temperature_c=61.0, gpu_throttle="thermal power_cap", **h100),
            launch("alba", 40, 50),
        ], Recorded(),
    )  # fmt: skip
    assert found.gpus == ("H100, driver 580.1",)
    assert found.gpu_working == pytest.approx((0.5 * 30 + 0.1 * 10) / 40)
    assert found.throttled == {"thermal": 1, "power_cap": 1}
    assert [(span.start, span.sm_mhz) for span in found.gpu_spans] == [(0, 1980), (30, 1500)]
    shown = dict(facts(found))
    assert shown["GPU"] == "H100, driver 580.1"
    assert shown["A kernel ran on the GPU (of the time in launches)"] == "40.0 %"
    assert shown["GPU clock while working (median)"] == "1,740 MHz"
    assert shown["GPU temperature (highest mean of a launch)"] == "61 °C"
    assert shown["Clocks held back"] == "thermal in 1 launch and power_cap in 1 launch"
    assert "GPU" not in dict(facts(machine([launch("alba", 0, 1)], Recorded())))


def test_a_machine_of_which_nothing_is_known_says_so() -> None:
    said = dict(facts(machine([], Recorded())))
    assert said["Launches"] == "0"
    assert said["Disk"] == "not recorded (this runtime keeps no images)"
    assert said["Jobs that ended with a fault of the machine"] == "none"


def test_what_lies_beside_the_tables_is_read(tmp_path: Path) -> None:
    def event(name: str, arm: str, **more: Any) -> journal.Event:
        facts = {"at": at(0), "commit": A, "block": 1, "digest": "d"}
        return journal.Event(event=name, arm=arm, **facts, **more)

    path = journal.path(tmp_path, A, 1)
    for found in (
        event("run_started", "baseline"),
        event("run_started", "baseline"),  # the first was killed
        event("run_finished", "baseline", result="measured"),
        event("run_started", "alba"),
        event("run_spoilt", "alba", cause="infra.gpu"),
        event("run_started", "alba"),
        event("run_spoilt", "alba", cause="infra.gpu", detail="suspected"),
        event("run_started", "alba"),
        event("run_finished", "alba", result="failed"),
        event("run_started", "brio"),  # running now
    ):
        journal.write(path, found)
    log_disk(tmp_path, disk(0, "build"))
    fault = FaultEvent(at=at(1), run="r", cause="infra.gpu", commit=A, stage="s")
    append_line(tmp_path / "faults.jsonl", msgspec.json.encode(fault))
    metrics = {"runs": [{"phase_seconds": {"benchmark": 2.5}, "launched": True, "arm": "x"}] * 2}
    metrics["runs"].append({"phase_seconds": {"benchmark": 9.0}, "launched": False, "arm": "x"})
    (tmp_path / "metrics").mkdir()
    (tmp_path / "metrics" / f"{A}.json").write_bytes(msgspec.json.encode(metrics))
    found_all = recorded.read(tmp_path)
    assert found_all.repeated == {"infra.gpu": 1, "infra.gpu (suspected)": 1}
    assert found_all.cut_short == 1
    assert [event.event for event in found_all.disk] == ["build"]
    assert [event.cause for event in found_all.faults] == ["infra.gpu"]
    assert found_all.stages == {"benchmark": 5.0}


def test_an_empty_folder_records_nothing(tmp_path: Path) -> None:
    assert recorded.read(tmp_path) == Recorded()


def test_launches_are_read_once_whatever_the_order_of_their_rows() -> None:
    rows = [
        {"commit": c, "arm": arm, "block": block, "metric": metric, "value": 1.0, "launched": True}
        | {"status": "measured"}
        for c in (A, B)
        for block in (1, 2)
        for arm in ("baseline", "alba")
        for metric in ("m1", "m2", "m3")
    ]
    for found in (rows, rows[::-1], sorted(rows, key=lambda row: str(row["metric"]))):
        launches = of(reports.tables({"runs": found})).launches
        assert len(launches) == 8
        assert set(zip(launches["commit"], launches["arm"], launches["block"], strict=True)) == {
            (c, arm, block) for c in (A, B) for arm in ("baseline", "alba") for block in (1, 2)
        }


def test_large_campaigns_draw_blocks_not_launches() -> None:
    ends = ("failed", "measured")
    rows = [
        launch(f"arm-{i % 20}", 10 * i, 10 * i + 9, block=i // 20 + 1, status=ends[i % 2])
        for i in range(6000)
    ]
    found = machine(rows, Recorded())
    assert len(found.spans) == 300
    assert {span.kind for span in found.spans} == {"launches"}
