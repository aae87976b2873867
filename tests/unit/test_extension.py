"""More blocks only while an arm is open and its interval wider than the margin."""

from __future__ import annotations

import math
import subprocess
import sys
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from patchbench.config import Protocol
from patchbench.records import GradedRun, Metrics, Task
from patchbench.verdicts.comparisons import compare_all
from patchbench.verdicts.looks import planned
from patchbench.verdicts.open_arms import TABLE, Undecided, undecided
from patchbench.verdicts.rule import SIGNIFICANT, blocks_to_decide
from tests.unit import make

METRIC = "ttft_median_ms"
PLAN = Protocol(blocks=5, max_blocks=10)
STEADY = [100.0, 101.0, 99.0, 100.5, 99.5, 100.0, 101.0, 99.0, 100.5, 99.5]


def task(**more: Any) -> Task:
    return make.task(**{"protocol": PLAN, **more})


def runs(blocks: int, first: int = 1, **gains: list[float]) -> list[GradedRun]:
    """Blocks of the baseline and of arms with the given ratios in each block."""
    out = []
    for place in range(blocks):
        block = first + place
        out.append(make.run("baseline", block, metrics={METRIC: STEADY[place]}))
        for arm, ratios in gains.items():
            out.append(make.run(arm, block, metrics={METRIC: STEADY[place] / ratios[place]}))
    return out


WIDE = [1.02, 1.08, 0.99, 1.06, 1.01] * 2  # 3 % with an interval of about 7 % each side
CLEAR = [1.20, 1.21, 1.19, 1.20, 1.22] * 2
FLAT = [1.001, 0.999, 1.002, 0.998, 1.0] * 2


def asked(found: list[GradedRun], arms: list[str], **more: Any) -> list[Undecided]:
    return undecided(task(**more), found, arms, make.RULES)


def test_only_open_arms_with_wide_intervals_ask_for_blocks() -> None:
    (open_,) = asked(runs(5, wide=WIDE, clear=CLEAR, flat=FLAT), ["clear", "wide", "flat"])
    assert (open_.arm, open_.pairs, open_.blocks) == ("wide", 5, 10)
    assert open_.half_width > 0.02
    assert open_.needed > 10


def test_no_more_blocks_are_asked_for_than_would_decide() -> None:
    gentle = [1.04, 1.01, 1.03, 1.00, 1.02] * 2
    (open_,) = asked(runs(5, alba=gentle), ["alba"])
    assert (open_.blocks, open_.needed) == (8, 8)
    assert [arm.blocks for arm in asked(runs(6, alba=gentle), ["alba"])] == [8]
    assert asked(runs(8, alba=gentle), ["alba"]) == []


def test_what_is_narrow_but_near_the_margin_asks_for_nothing() -> None:
    near = [1.0185, 1.0207, 1.0180, 1.0209, 1.0189] * 2  # 1.94 %, +- 0.2 %: the margin is 2 %
    (row,) = compare_all(
        {make.COMMIT: task()}, {make.COMMIT: measured(runs(5, alba=near))}, ["alba"], make.RULES
    )
    assert (row.verdict, row.paired.half_width < 0.005) == ("inconclusive", True)
    assert asked(runs(5, alba=near), ["alba"]) == []


def test_what_is_narrow_and_can_be_decided_gets_as_many_as_decide() -> None:
    gentle = [1.000, 1.022, 1.000, 1.017, 1.004] * 2  # 0.9 %, +- 1.6 %
    (open_,) = asked(runs(5, alba=gentle), ["alba"])
    assert open_.half_width < 0.02
    assert 5 < open_.blocks == open_.needed <= 10


def test_a_gain_that_the_whole_table_may_take_back_asks_for_blocks() -> None:
    """Seen on an H100: 0.84x with p = 0.01 in three blocks was decided for its own task, and
    inconclusive in the table, with blocks to spare."""
    plan = Protocol(blocks=3, max_blocks=5)
    slow = [0.80, 0.87, 0.85, 0.84, 0.83]
    (open_,) = asked(runs(3, brio=slow), ["brio"], protocol=plan)
    assert open_.blocks == 5
    assert asked(runs(5, brio=slow), ["brio"], protocol=plan) == []
    steady = [1.044, 1.047, 1.046, 1.044, 1.046, 1.045, 1.045, 1.045, 1.045, 1.045]
    assert asked(runs(5, alba=steady), ["alba"]) == []  # p is small enough for any table


def test_the_answer_rests_on_the_first_look_whatever_came_after() -> None:
    """Else every job would be one more look, and stopping would follow luck."""
    for later in (CLEAR, FLAT, WIDE):
        found = asked(runs(8, alba=[*WIDE[:5], *later[5:]]), ["alba"])
        assert [arm.blocks for arm in found] == [10]


def test_nothing_is_asked_beyond_the_plan_or_before_the_first_look() -> None:
    assert asked(runs(4, wide=WIDE), ["wide"]) == []
    assert asked(runs(10, wide=WIDE), ["wide"]) == []
    assert asked(runs(5, wide=WIDE), ["wide"], protocol=Protocol(blocks=5)) == []


def test_an_arm_that_hardly_ran_is_not_waited_for() -> None:
    found = [run for run in runs(5, wide=WIDE) if run.arm == "baseline" or run.block < 3]
    found += [make.run("wide", block, cause="server.crash") for block in (3, 4, 5)]
    assert asked(found, ["wide", "gone", "baseline", "baseline-aa"]) == []


def test_a_block_that_failed_is_made_up_for() -> None:
    gentle = [1.04, 1.01, 1.03, 1.00, 1.02] * 2
    found = [run for run in runs(5, alba=gentle) if (run.arm, run.block) != ("alba", 2)]
    (open_,) = asked([*found, make.run("alba", 2, cause="bench.timeout")], ["alba"])
    assert open_.pairs == 4
    assert open_.blocks == open_.needed > 5


def test_later_cohorts_have_first_blocks_of_their_own() -> None:
    (open_,) = asked(runs(5, first=101, wide=WIDE), ["wide"])
    assert open_.blocks == 10


def test_the_reason_is_one_line_for_a_person() -> None:
    (open_,) = asked(runs(5, wide=WIDE), ["wide"])
    assert open_.reason.startswith("wide: ±5.4 % ")
    assert "against a margin of 2.0 % after 5 blocks; 10 blocks (about " in open_.reason


@given(st.lists(st.floats(-0.2, 0.2), min_size=10, max_size=10), st.integers(5, 10))
def test_every_job_gives_the_same_answer(logs: list[float], done: int) -> None:
    gains = [math.exp(value) for value in logs]
    at_first = asked(runs(5, alba=gains), ["alba"])
    target = at_first[0].blocks if at_first else 5
    assert bool(asked(runs(done, alba=gains), ["alba"])) == (done < target)
    assert 5 <= target <= 10


@pytest.mark.parametrize(
    ("modules", "heavy"),
    [
        ("patchbench.grading.launch_value", ["numpy", "scipy", "pandas"]),
        ("patchbench.verdicts.open_arms", ["scipy.stats", "pandas", "pyarrow"]),
    ],
)
def test_what_jobs_import_is_light(modules: str, heavy: list[str]) -> None:
    code = f"import sys, {modules}; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def measured(found: list[GradedRun]) -> Metrics:
    """These runs as a commit's metrics, of the baseline and alba."""
    empty = make.measured(make.COMMIT, {"baseline": [], "alba": []})
    return msgspec.structs.replace(empty, runs=tuple(found))


def test_an_open_arm_is_one_that_the_table_calls_inconclusive() -> None:
    rng = np.random.default_rng(8)
    plan = planned(PLAN)
    for _ in range(100):
        gains = list(np.exp(rng.normal(0.02, 0.03, 5)))
        found = runs(5, alba=gains)
        (row,) = compare_all(
            {make.COMMIT: task()}, {make.COMMIT: measured(found)}, ["alba"], make.RULES
        )
        wide = row.paired.half_width > math.log1p(row.margin)
        unsafe = row.verdict in ("faster", "slower") and TABLE * row.p_adjusted >= SIGNIFICANT
        enough = blocks_to_decide(
            row.paired, level=row.level, table=TABLE, margin=row.margin, looks=plan,
            confidence=0.95, min_blocks=3,
        )  # fmt: skip
        worth_it = wide or (enough is not None and enough <= 10)
        open_ = undecided(task(), found, ["alba"], make.RULES)
        assert bool(open_) == ((row.verdict == "inconclusive" or unsafe) and worth_it)
