"""Guards of every task: a gain bought with start-up, memory or energy is a trade-off."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from patchbench.records import Metrics
from patchbench.verdicts.comparisons import Comparison, compare_all
from patchbench.verdicts.guards import COSTS, LEAST_LOSS, SHOWN
from tests.unit import make
from tests.unit.judge_make import make_load
from tests.unit.test_comparisons import STEADY, A, times

METRIC = "ttft_median_ms"


def costing(more: dict[str, dict[str, list[float]]], gain: float = 1.5) -> Metrics:
    """Alba is faster; ``more`` are values of other metrics by metric and arm."""
    base = make.measured(A, {"baseline": STEADY, "alba": times(gain)})
    runs = tuple(
        msgspec.structs.replace(
            run,
            metrics=run.metrics
            | {name: values[run.arm][run.block - 1] for name, values in more.items()},
        )
        for run in base.runs
    )
    return msgspec.structs.replace(base, runs=runs)


def compared(metrics: Metrics, **task: Any) -> dict[str, Comparison]:
    rows = compare_all({A: make.task(A, **task)}, {A: metrics}, ["alba"], make.RULES)
    return {row.metric: row for row in rows if row.arm == "alba" and row.role != "human"}


def losing(metric: str, loss: float, gain: float = 1.5) -> dict[str, Comparison]:
    return compared(costing({metric: {"baseline": STEADY, "alba": times(1 / (1 + loss))}}, gain))


@pytest.mark.parametrize("metric", LEAST_LOSS)
def test_a_gain_bought_with_a_cost_is_a_trade_off(metric: str) -> None:
    rows = losing(metric, 2 * LEAST_LOSS[metric])
    assert (rows[metric].role, rows[metric].verdict) == ("guard", "slower")
    assert rows[METRIC].verdict == "trade-off"


@pytest.mark.parametrize("metric", LEAST_LOSS)
def test_a_loss_within_the_margin_costs_nothing(metric: str) -> None:
    rows = losing(metric, 0.8 * LEAST_LOSS[metric])
    assert rows[metric].margin == LEAST_LOSS[metric]
    assert rows[METRIC].verdict == "faster"


def test_processor_time_is_shown_and_decides_nothing() -> None:
    (shown,) = SHOWN
    rows = losing(shown, 3.0)
    assert (rows[shown].role, rows[shown].verdict) == ("cost", "slower")
    assert rows[METRIC].verdict == "faster"


def test_costs_that_nothing_measured_are_not_compared() -> None:
    assert not compared(costing({})).keys() & {*COSTS}


@pytest.mark.parametrize(("baseline", "verdict"), [(0.3, "faster"), (30.0, "trade-off")])
def test_a_start_of_a_second_more_is_no_loss(baseline: float, verdict: str) -> None:
    """Twice as long: 0.3 s more, and 30 s more."""
    unit = [value / 100 for value in STEADY]
    twice = {"baseline": [baseline * v for v in unit], "alba": [2 * baseline * v for v in unit]}
    assert compared(costing({"startup_s": twice}))[METRIC].verdict == verdict


def test_a_noisy_start_is_no_loss() -> None:
    wild = [100.0, 300.0, 90.0, 250.0, 120.0]
    rows = compared(costing({"startup_s": {"baseline": wild[::-1], "alba": wild}}))
    assert rows[METRIC].verdict == "faster"


# --- the clock outside of a self-measured task --------------------------------------------------


def clocked(claimed: float, outside: float) -> dict[str, Comparison]:
    """The baseline claims 20 s of 25 s; alba's figures are given."""
    five = [1.0] * 5
    more = {
        "claimed_s": {"baseline": [20.0 * v for v in five], "alba": [claimed * v for v in five]},
        "clock_s": {"baseline": [25.0 * v for v in five], "alba": [outside * v for v in five]},
    }
    return compared(costing(more))


@pytest.mark.parametrize(("claimed", "outside"), [(10, 15), (10, 17.9), (10, 12), (20, 25)])
def test_a_gain_that_the_clock_outside_saw_counts(claimed: float, outside: float) -> None:
    assert clocked(claimed, outside)[METRIC].verdict == "faster"


@pytest.mark.parametrize(("claimed", "outside"), [(10, 25), (10, 18.1), (1, 9.5)])
def test_a_gain_that_only_the_patched_clock_saw_does_not(claimed: float, outside: float) -> None:
    row = clocked(claimed, outside)[METRIC]
    assert (row.verdict, row.at_least_human) == ("suspicious", False)
    assert row.review is not None
    more = (outside - claimed) - 5
    assert row.review == f"the clock outside saw {more:.1f} s per window more beyond what it claims"


def test_what_the_judge_measured_needs_no_other_clock() -> None:
    more = {
        "claimed_s": {"baseline": [20.0] * 5, "alba": [1.0] * 5},
        "clock_s": {"baseline": [25.0] * 5, "alba": [25.0] * 5},
    }
    rows = compared(costing(more), workload=make.workload(load=make_load()))
    assert rows[METRIC].verdict == "faster"


def test_a_slower_patch_stays_slower_whatever_its_clock_says() -> None:
    more = {
        "claimed_s": {"baseline": [20.0] * 5, "alba": [10.0] * 5},
        "clock_s": {"baseline": [25.0] * 5, "alba": [25.0] * 5},
    }
    assert compared(costing(more, gain=0.7))[METRIC].verdict == "slower"
