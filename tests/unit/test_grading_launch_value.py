"""One value per launch, however many windows it was measured in."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from patchbench.grading.launch_value import launch_metrics, launch_value
from patchbench.verdicts.comparisons import compare_all
from patchbench.verdicts.launch_values import value_of
from tests.unit import make

positive = st.lists(st.floats(1e-3, 1e6), min_size=1, max_size=9)
METRIC = "ttft_median_ms"


@given(positive)
def test_the_value_of_a_launch_is_the_mean_of_its_windows_logarithms(windows: list[float]) -> None:
    assert math.log(launch_value(windows)) == pytest.approx(np.mean(np.log(windows)), abs=1e-9)
    assert min(windows) * (1 - 1e-9) <= launch_value(windows) <= max(windows) * (1 + 1e-9)


def test_one_window_is_the_launch_and_none_is_an_error() -> None:
    assert launch_value([7.25]) == pytest.approx(7.25)
    with pytest.raises(ValueError, match="no windows"):
        launch_value([])


def test_what_has_no_logarithm_is_averaged_as_it_is() -> None:
    assert launch_value([0.0, 0.0, 3.0]) == pytest.approx(1.0)


def test_a_launch_has_the_metrics_of_all_its_windows() -> None:
    windows = [{METRIC: 90.0, "failed": 0.0}, {METRIC: 110.0, "failed": 0.0, "output_tps": 5.0}]
    assert launch_metrics(windows) == {METRIC: pytest.approx(math.sqrt(9900)), "failed": 0.0}
    assert launch_metrics([]) == {}


def test_windows_take_the_place_of_a_launchs_single_value() -> None:
    windows = ({METRIC: 80.0}, {METRIC: 125.0})
    assert value_of(make.run("alba", metrics={METRIC: 1.0}, windows=windows), METRIC) == (
        pytest.approx(100.0)
    )
    assert value_of(make.run("alba", metrics={METRIC: 7.0}), METRIC) == 7.0
    assert value_of(make.run("alba", metrics={METRIC: 7.0}), "output_tps") is None
    assert value_of(make.run("alba", cause="server.crash", windows=windows), METRIC) is None


def test_more_windows_of_the_same_launches_do_not_narrow_an_interval() -> None:
    """Ten windows each, all alike within their launch, say no more than one: five launches."""
    rng = np.random.default_rng(5)
    values = {arm: list(100 * np.exp(rng.normal(0, 0.03, 5))) for arm in ("baseline", "alba")}
    found = []
    for count in (1, 10):
        metrics = make.measured(make.COMMIT, values)
        runs = tuple(
            make.run(run.arm, run.block, metrics=run.metrics, windows=(run.metrics,) * count)
            for run in metrics.runs
        )
        nested = make.measured(make.COMMIT, values)
        nested = type(nested)(
            commit=nested.commit, digests=nested.digests, runs=runs, arms=nested.arms
        )
        tasks = {make.COMMIT: make.task()}
        found += compare_all(tasks, {make.COMMIT: nested}, ["alba"], make.RULES)
    once, often = found
    assert often.pairs == once.pairs == 5
    assert (often.low, often.high) == (pytest.approx(once.low), pytest.approx(once.high))
