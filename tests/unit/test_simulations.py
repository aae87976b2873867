"""Small, seeded versions of what benchmarks/simulate_verdicts.py and drift.py print."""

from __future__ import annotations

import datetime
import itertools
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from benchmarks import drift, simulate_verdicts
from benchmarks.simulate_verdicts import Case, heavy, normal, rates, recorded, single_pair

from patchbench.errors import BadInput
from patchbench.system.files import write_json
from tests.unit import make

FALSE = Case("normal 3 %", normal(0.03))

# The five launches of ../shared/data/vllm-h100/aa-launches.csv, output tokens per second.
H100 = [7205.628, 7286.44, 8823.96, 8097.666, 8189.337]


@pytest.mark.parametrize(
    "case",
    [
        FALSE,
        FALSE._replace(drift=0.03),
        FALSE._replace(extended=True),
        FALSE._replace(drift=0.03, extended=True),
        Case("heavy tails 3 %", heavy(0.03), extended=True),
    ],
    ids=lambda case: f"{case.noise}, {case.drift}, {case.extended}",
)
def test_identical_code_is_hardly_ever_called_faster(case: Case) -> None:
    assert rates(case, 400, seed=3).faster <= 0.025


def test_a_gain_of_5_percent_is_found_where_launches_repeat_within_1_percent() -> None:
    for extended in (False, True):
        found = rates(Case("", normal(0.01), 0.03, 0.05, extended), 200, seed=4)
        assert found.faster >= 0.95
        assert found.slower == 0


def test_extension_finds_gains_that_five_blocks_leave_open() -> None:
    case = Case("", normal(0.02), gain=0.05)
    short = rates(case, 200, seed=5, own_floor=False)
    longer = rates(case._replace(extended=True), 200, seed=5, own_floor=False)
    assert longer.faster > short.faster + 0.1
    assert 5 < longer.blocks < 10
    assert short.blocks == 5


def test_two_looks_are_not_fooled_where_a_look_after_each_block_is() -> None:
    """With the floor held at its smallest, so that nothing but the looks makes the difference."""
    case = FALSE._replace(extended=True)
    two = rates(case, 1500, seed=6, own_floor=False)
    each = simulate_verdicts.impatient(case, 1500, seed=6)
    assert two.faster <= 0.035  # 2.3 % in the long run
    assert each.faster > two.faster
    assert each.different > 0.06


def test_real_launches_of_identical_code_are_not_called_different() -> None:
    for extended in (False, True):
        found = rates(Case("", recorded(H100), extended=extended), 400, seed=7)
        assert found.different <= 0.025
    assert 0.75 <= single_pair(H100, 400, seed=7) <= 0.90


def test_identical_code_comes_out_as_same_with_seven_pairs_not_with_three() -> None:
    assert simulate_verdicts.same(3, 300, seed=8)[0] == 0
    own, true = simulate_verdicts.same(7, 300, seed=8)
    assert min(own, true) > 0.9


def test_the_saved_launches_are_these() -> None:
    if not simulate_verdicts.RECORDED.is_file():
        pytest.skip("no recorded launches here")
    assert simulate_verdicts.read_launches(simulate_verdicts.RECORDED)["output_throughput"] == H100


def test_the_same_seed_gives_the_same_rates() -> None:
    assert rates(FALSE, 50, seed=1) == rates(FALSE, 50, seed=1)


def test_the_table_has_every_row_and_marks_what_breaks_its_limit(tmp_path: Path) -> None:
    lines = list(simulate_verdicts.table(5, 1, tmp_path / "none.csv"))
    assert len(lines) == 1 + 2 * 18 + 2 + 1
    loud = Case("", normal(0.03), gain=0.5)
    line = simulate_verdicts._line(loud, "faster", 0.5, 5.0, None)
    assert line == "|  | 50 % | 5 | faster | 50.00 % | 5.0 |  |"


# --- drift ----------------------------------------------------------------------------------------


def record(path: Path, blocks: int, arms: int, sigma: float, seed: int = 1) -> Path:
    """A recording of identical code, launches half a minute apart."""
    rng = np.random.default_rng(seed)
    start = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    rows = [
        (block, at, f"arm-{at}", (start + datetime.timedelta(seconds=30 * number)).isoformat(),
         1000 * np.exp(rng.normal(0, sigma)))
        for number, (block, at) in enumerate(itertools.product(range(1, blocks + 1), range(arms)))
    ]  # fmt: skip
    lines = ["# recorded", "block,position,arm,start,value"]
    path.write_text("\n".join([*lines, *(",".join(map(str, row)) for row in rows), ""]))
    return path


@pytest.mark.parametrize("arms", [2, 4])
def test_rotated_blocks_stand_a_drift_that_fools_arm_after_arm(tmp_path: Path, arms: int) -> None:
    recording = drift.read_recording(record(tmp_path / "a.csv", 8, arms, 0.015))
    found = drift.shares([recording], drift=0.10, blocks=5, repetitions=200, seed=1)
    assert found.rotated <= 0.05
    assert found.arm_after_arm > 0.25
    assert found.arm_after_arm_smallest_floor > 0.5
    assert found.rotated_smallest_floor <= 0.05


def test_without_drift_no_order_is_fooled(tmp_path: Path) -> None:
    recording = drift.read_recording(record(tmp_path / "a.csv", 8, 3, 0.01))
    found = drift.shares([recording], drift=0.0, blocks=5, repetitions=200, seed=1)
    assert max(found) <= 0.05


def test_blocks_are_cut_to_the_shortest_and_put_in_order_of_time(tmp_path: Path) -> None:
    path = record(tmp_path / "a.csv", 3, 2, 0.01)
    first, *rest = drift.read_recording(path)
    header, *lines = path.read_text().splitlines()[1:]
    extra = "1,2,baseline-aa,2026-01-01T00:00:45+00:00,7.0"
    path.write_text("\n".join([header, *reversed(lines), extra]))
    assert drift.read_recording(path) == [first, *rest]


@pytest.mark.parametrize(
    ("row", "complaint"),
    [
        ("9,0,x,2026-01-01T00:00:00+00:00,-1", "value must be above 0"),
        ("9,0,x,2026-01-01T00:00:00,1", "start needs a UTC offset"),
        ("9,zero,x,2026-01-01T00:00:00+00:00,1", "row 7"),
        ("3,2,x,2025-01-01T00:00:00+00:00,1", "block 3: positions contradict start times"),
    ],
)
def test_a_recording_that_can_not_be_used_is_named(
    tmp_path: Path, row: str, complaint: str
) -> None:
    path = record(tmp_path / "a.csv", 3, 2, 0.01)
    path.write_text(path.read_text() + row)
    with pytest.raises(BadInput, match=complaint):
        drift.read_recording(path)


def test_recordings_are_written_from_the_records_of_a_campaign(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    values = {arm: rng.normal(100, 1, 5).tolist() for arm in ("baseline", "human", "alba")}
    metrics = make.measured(make.COMMIT, values, "output_tps")
    runs = tuple(
        type(run)(
            arm=run.arm,
            block=run.block,
            position=list(values).index(run.arm),
            status="measured",
            metrics=run.metrics,
            started=f"2026-01-01T0{run.block}:0{list(values).index(run.arm)}:00+00:00",
        )
        for run in metrics.runs
    )
    whole = type(metrics)(commit=metrics.commit, digests=("d",), runs=runs, arms=metrics.arms)
    write_json(tmp_path / "metrics" / "c.json", whole)
    drift.from_metrics(tmp_path / "metrics", "output_tps", tmp_path / "out")
    found = drift.read_recording(tmp_path / "out" / "c.csv")
    assert found == [[values[arm][at] for arm in values] for at in range(5)]
    with pytest.raises(BadInput, match="no record has the metric itl_mean_ms"):
        drift.from_metrics(tmp_path / "metrics", "itl_mean_ms", tmp_path / "out")


def test_the_command_prints_both_orders_and_says_if_they_fail(tmp_path: Path) -> None:
    record(tmp_path / "a.csv", 6, 3, 0.01)
    command = [sys.executable, "benchmarks/drift.py", str(tmp_path), "--repetitions", "40"]
    done = subprocess.run(command, cwd=drift.ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "1 recording(s), sessions of 5 blocks, drift of 10 %, 40 repetitions" in done.stdout
    assert "| rotated blocks | 0.0 % |" in done.stdout
    empty = [*command[:2], str(tmp_path / "nowhere")]
    done = subprocess.run(empty, cwd=drift.ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "no recording" in done.stderr
