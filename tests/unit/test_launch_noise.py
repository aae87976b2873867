"""Variances and costs from finished launches: right on average, whatever arms and blocks add."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from patchbench.grading.default_noise import BY_METRIC, default_noise
from patchbench.grading.launch_noise import Costs, Noise
from patchbench.grading.noise_estimate import costs_of, pooled, squares_of
from patchbench.records import GradedRun
from tests.unit import make

METRIC = "output_tps"
ARMS = ("baseline", "human", "alba", "brio", "baseline-aa")


def campaign(
    rng: np.random.Generator, noise: Noise, windows: int, blocks: int = 5, drift: float = 0.1
) -> list[GradedRun]:
    """Launches of five arms with gains of their own, in blocks that differ by ``drift``."""
    out = []
    for block in range(1, blocks + 1):
        place = rng.normal(0, drift)
        for number, arm in enumerate(ARMS):
            gain = 0.0 if arm == "baseline-aa" else 0.07 * number
            launch = rng.normal(0, noise.launch)
            logs = place + gain + launch + rng.normal(0, noise.window, windows)
            each = tuple({METRIC: 1000 * math.exp(log)} for log in logs)
            value = {METRIC: 1000 * math.exp(float(logs.mean()))}
            out.append(make.run(arm, block, metrics=value, windows=each if windows > 1 else ()))
    return out


def test_both_variances_are_right_on_average() -> None:
    rng = np.random.default_rng(4)
    true = Noise(window=0.0075, launch=0.005)
    many = pooled(squares_of(campaign(rng, true, 4), METRIC) for _ in range(60))
    found = many.noise(default_noise(METRIC))
    assert found is not None
    assert found.window == pytest.approx(0.0075, rel=0.03)
    assert found.launch == pytest.approx(0.005, rel=0.1)
    # 25 launches less 5 blocks and 3 gains, for the A/A launch has the baseline's.
    assert found.launch_freedom == 60 * 17
    assert found.window_freedom == 60 * 25 * 3


def test_single_windows_share_what_was_seen_as_the_defaults_do() -> None:
    rng = np.random.default_rng(5)
    true = Noise(window=0.012, launch=0.004)
    many = pooled(squares_of(campaign(rng, true, 1), METRIC) for _ in range(60))
    found = many.noise(default_noise(METRIC))
    assert found is not None and found.window_freedom == 0
    assert found.of_ratio(1) == pytest.approx(true.of_ratio(1), rel=0.04)
    assert found.window / found.launch == pytest.approx(3)


def test_launches_that_cannot_be_compared_say_nothing() -> None:
    assert squares_of([], METRIC).noise(default_noise(METRIC)) is None
    one = [
        make.run("baseline", 1, metrics={METRIC: 5.0}),
        make.run("alba", 1, metrics={METRIC: 6.0}),
    ]
    assert squares_of(one, METRIC).noise(default_noise(METRIC)) is None
    failed = [make.run("alba", block, cause="server.crash") for block in (1, 2, 3)]
    assert squares_of(failed, METRIC).between_freedom == 0


@settings(max_examples=30)
@given(
    st.floats(-2, 2),
    st.lists(st.floats(-0.5, 0.5), min_size=3, max_size=3),
    st.integers(0, 2**32 - 1),
)
def test_what_arms_and_blocks_add_changes_nothing(
    gain: float, blocks: list[float], seed: int
) -> None:
    rng = np.random.default_rng(seed)
    plain = campaign(rng, Noise(window=0.01, launch=0.01), 2, blocks=3, drift=0.0)

    def shifted(run: GradedRun) -> GradedRun:
        by = math.exp(blocks[run.block - 1] + gain * (run.arm == "alba"))
        windows = tuple({METRIC: window[METRIC] * by} for window in run.windows)
        return make.run(
            run.arm, run.block, metrics={METRIC: run.metrics[METRIC] * by}, windows=windows
        )

    before, after = squares_of(plain, METRIC), squares_of([*map(shifted, plain)], METRIC)
    assert after == pytest.approx(before, rel=1e-6, abs=1e-12)


def test_costs_are_those_of_a_start_and_of_a_window() -> None:
    two = ({METRIC: 1.0}, {METRIC: 1.0})
    phases = {"server_start": 20.0, "benchmark": 10.0, "stop": 2.0}
    at = {"started": "2026-01-01T10:00:00+00:00", "ended": "2026-01-01T10:00:36+00:00"}
    judged = make.run("baseline", windows=two, format="record", phase_seconds=phases, **at)
    assert costs_of([judged]) == Costs(start=26.0, window=5.0)
    # A commit's own benchmark has a phase for each window; the last one is known.
    assert costs_of([make.run("baseline", windows=two, phase_seconds=phases, **at)]) == Costs(
        start=16.0, window=10.0
    )
    assert costs_of([make.run("alba", cause="server.crash", phase_seconds=phases)]) is None


def test_more_windows_narrow_a_ratio_down_to_the_launches_own_noise() -> None:
    noise = Noise(window=0.0075, launch=0.002)
    assert noise.of_ratio(1) == pytest.approx(0.01098, rel=0.001)
    assert noise.of_ratio(10**6) == pytest.approx(math.sqrt(2) * 0.002, rel=0.001)


def test_every_metric_has_a_default() -> None:
    assert default_noise("ttft_median_ms").window > default_noise("anything").window
    assert all(noise.launch > 0 for _, noise in BY_METRIC)
