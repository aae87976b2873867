"""More blocks only while an arm is open: without a verdict that the whole table would keep."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import msgspec
import numpy as np
import pytest

from patchbench.config import Protocol
from patchbench.records import GradedRun, Metrics, Task
from patchbench.verdicts.comparisons import compare_all
from patchbench.verdicts.open_arms import TABLE, open_arms
from patchbench.verdicts.rule import SIGNIFICANT
from patchbench.verdicts.worth import OpenArm
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
LIKELY = [1.06, 1.03, 1.05, 1.01, 1.04] * 2  # 3.8 %: some blocks more will show it
CLEAR = [1.20, 1.21, 1.19, 1.20, 1.22] * 2
FLAT = [1.001, 0.999, 1.002, 0.998, 1.0] * 2


def asked(found: list[GradedRun], arms: list[str], **more: Any) -> list[OpenArm]:
    return open_arms(task(**more), found, arms, make.RULES)


def test_only_arms_without_a_verdict_are_open() -> None:
    (open_,) = asked(runs(5, wide=WIDE, clear=CLEAR, flat=FLAT), ["clear", "wide", "flat"])
    assert (open_.arm, open_.pairs, open_.left) == ("wide", 5, 5)
    assert open_.mean == pytest.approx(np.log(WIDE).mean(), abs=1e-9)
    assert open_.sd == pytest.approx(np.log(WIDE[:5]).std(ddof=1), rel=1e-6)
    assert open_.margin == 0.02


def test_an_arm_is_looked_at_again_after_each_block() -> None:
    gains = [*WIDE[:5], *[1.10] * 5]
    assert [arm.pairs for arm in asked(runs(7, alba=gains), ["alba"])] == [7]
    late = [1.0, 1.01, 1.02, 1.03, 1.04, *[1.15] * 4]
    assert asked(runs(6, alba=CLEAR), ["alba"]) == []
    assert len(asked(runs(5, alba=late), ["alba"])) == 1


def test_a_gain_that_the_whole_table_may_take_back_is_open() -> None:
    """Seen on an H100: 0.84x with p = 0.01 in three blocks was decided for its own task, and
    inconclusive in the table, with blocks to spare."""
    plan = Protocol(blocks=3, max_blocks=5)
    slow = [0.80, 0.87, 0.85, 0.84, 0.83]
    (open_,) = asked(runs(3, brio=slow), ["brio"], protocol=plan)
    assert open_.left == 2
    assert asked(runs(5, brio=slow), ["brio"], protocol=plan) == []
    steady = [1.044, 1.047, 1.046, 1.044, 1.046, 1.045, 1.045, 1.045, 1.045, 1.045]
    assert asked(runs(5, alba=steady), ["alba"]) == []  # p is small enough for any table


def test_nothing_is_open_beyond_the_plan_or_before_the_first_look() -> None:
    assert asked(runs(4, wide=WIDE), ["wide"]) == []
    assert asked(runs(10, wide=WIDE), ["wide"]) == []
    assert asked(runs(5, wide=WIDE), ["wide"], protocol=Protocol(blocks=5)) == []


def test_an_arm_that_hardly_ran_is_not_waited_for() -> None:
    found = [run for run in runs(5, wide=WIDE) if run.arm == "baseline" or run.block < 3]
    found += [make.run("wide", block, cause="server.crash") for block in (3, 4, 5)]
    assert asked(found, ["wide", "gone", "baseline", "baseline-aa"]) == []


def test_blocks_of_a_pair_alone_are_no_look() -> None:
    found = runs(5, wide=WIDE)
    found += [make.run(arm, 6, metrics={METRIC: 100.0}) for arm in ("baseline", "baseline-aa")]
    assert [arm.left for arm in asked(found, ["wide"])] == [5]


def test_a_block_that_failed_is_no_pair() -> None:
    found = [run for run in runs(5, alba=WIDE) if (run.arm, run.block) != ("alba", 2)]
    (open_,) = asked([*found, make.run("alba", 2, cause="bench.timeout")], ["alba"])
    assert (open_.pairs, open_.left) == (4, 5)


def test_later_cohorts_have_first_blocks_of_their_own() -> None:
    (open_,) = asked(runs(5, first=101, wide=WIDE), ["wide"])
    assert open_.left == 5


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
    for _ in range(100):
        gains = list(np.exp(rng.normal(0.02, 0.03, 5)))
        found = runs(5, alba=gains)
        (row,) = compare_all(
            {make.COMMIT: task()}, {make.COMMIT: measured(found)}, ["alba"], make.RULES
        )
        unsafe = row.verdict in ("faster", "slower") and TABLE * row.p_adjusted >= SIGNIFICANT
        open_ = open_arms(task(), found, ["alba"], make.RULES)
        assert bool(open_) == (row.verdict == "inconclusive" or unsafe)
