"""A/A pairs test the intervals: identical code may not scatter more than they allow."""

from __future__ import annotations

import math

import msgspec
import numpy as np
import pytest
from scipy import stats

from patchbench.records import Metrics
from patchbench.verdicts.identical import CONFIDENCE, Sample, Scatter, scatter, scatters
from patchbench.verdicts.launch_values import aa_logs, attempted, pairs, rounding
from tests.unit import make

A, B = "a" * 40, "b" * 40
METRIC = "ttft_median_ms"
STEADY = [100.0, 101.0, 99.0, 100.5, 99.5]
SHAKY = [v * w for v, w in zip(STEADY, (1.05, 0.97, 1.0, 1.02, 0.96), strict=True)]


def with_aa(commit: str, *changes: float, metric: str = METRIC) -> Metrics:
    """Five blocks of a shaky arm, the first ones with a second launch of the baseline."""
    metrics = make.measured(commit, {"baseline": STEADY, "alba": SHAKY}, metric)
    aa = [
        make.run("baseline-aa", block, metrics={metric: STEADY[block - 1] * (1 + change)})
        for block, change in enumerate(changes, 1)
    ]
    return msgspec.structs.replace(metrics, runs=(*metrics.runs, *aa))


def test_an_aa_pair_is_two_launches_of_the_baseline_in_one_block() -> None:
    assert aa_logs(with_aa(A, 0.10).runs, METRIC) == pytest.approx([-math.log(1.1)])
    assert aa_logs(with_aa(A).runs, METRIC) == []


def test_the_scatter_of_one_task_is_an_f_test() -> None:
    aa, logs = [0.08, -0.11, 0.02], [0.01, 0.03, -0.02, 0.0, 0.02]
    found = scatter([Sample(aa, float(np.var(logs, ddof=1)), 4)])
    ratio = float(np.mean(np.square(aa)) / np.var(logs, ddof=1))
    assert found.times == pytest.approx(math.sqrt(ratio))
    assert found.at_least == pytest.approx(math.sqrt(ratio / stats.f.ppf(CONFIDENCE, 3, 4)))
    assert found.pairs == 3


def test_tasks_with_unlike_noise_are_weighed_by_it() -> None:
    """A loud task alone decides nothing about a quiet one, and the degrees of freedom shrink."""
    quiet, loud = Sample([0.01] * 3, 1e-4, 4), Sample([0.10] * 3, 1e-2, 4)
    both = scatter([quiet, loud])
    assert both.times == pytest.approx(1.0)
    assert both.at_least < scatter([loud, loud]).at_least


def test_intervals_are_widened_only_if_shown() -> None:
    assert Scatter(1.8, 0.9, 3).widen == 1.0
    assert Scatter(1.8, 1.1, 3).widen == 1.8
    assert Scatter(9.0, 1.1, 2).widen == 1.0


def test_identical_code_in_the_same_noise_is_seldom_found_too_scattered() -> None:
    rng = np.random.default_rng(4)
    shown = {"normal": 0, "heavy tails": 0}
    for _ in range(400):
        for noise, draw in (
            ("normal", rng.normal),
            ("heavy tails", lambda size: rng.standard_t(3, size=size)),
        ):
            samples = []
            for _ in range(6):
                launches = draw(size=(7, 5))
                logs = launches[2:] - launches[0]
                aa = [float(launches[1, 0] - launches[0, 0])]
                samples.append(Sample(aa, float(logs.var(axis=1, ddof=1).mean()), 4))
            shown[noise] += scatter(samples).widen > 1
    assert shown["normal"] <= 12
    assert shown["heavy tails"] <= 40


def test_samples_are_pooled_by_subject_and_metric() -> None:
    other = make.task(B, subject=make.subject(name="other"))
    metrics = {A: with_aa(A, 0.2, -0.2), B: with_aa(B)}
    found = scatters({A: make.task(A), B: other}, metrics)
    assert list(found) == [("small", METRIC)]
    assert found["small", METRIC].pairs == 2
    assert found["small", METRIC].times > 2
    same = scatters({A: make.task(A), B: make.task(B)}, metrics | {B: with_aa(B, 0.01)})
    assert same["small", METRIC].pairs == 3


def test_without_an_arm_that_has_a_spread_nothing_is_known() -> None:
    lone = make.measured(A, {"baseline": STEADY[:1], "alba": STEADY[:1]})
    aa = make.run("baseline-aa", 1, metrics={METRIC: 110.0})
    assert (
        scatters({A: make.task(A)}, {A: msgspec.structs.replace(lone, runs=(*lone.runs, aa))}) == {}
    )


@pytest.mark.parametrize(
    ("values", "step"), [([12.0, 11.0], 1.0), ([12.5, 11.0], 0.1), ([1200.0, 1100.0], 100.0)]
)
def test_the_step_of_rounding_is_the_last_place_with_a_digit(
    values: list[float], step: float
) -> None:
    runs = make.measured(A, {"baseline": values[:1], "alba": values[1:]}).runs
    both = pairs(runs, "alba", "baseline", METRIC)
    wanted = step / math.sqrt(12) * math.hypot(1 / values[0], 1 / values[1])
    assert rounding(runs, both, METRIC) == pytest.approx(wanted)


def test_the_step_comes_from_windows_where_a_launch_has_them() -> None:
    windows = tuple({METRIC: value} for value in (11.0, 12.0))
    runs = [
        make.run(arm, 1, windows=windows, metrics={METRIC: 11.489}) for arm in ("baseline", "alba")
    ]
    both = pairs(runs, "alba", "baseline", METRIC)
    assert rounding(runs, both, METRIC) == pytest.approx(math.sqrt(2 / 12) / math.sqrt(11 * 12))


def test_a_block_counts_as_looked_at_if_both_arms_were_launched() -> None:
    runs = [make.run("baseline", b, metrics={METRIC: 1.0}) for b in (1, 2, 3, 4)]
    runs += [make.run("alba", 1, metrics={METRIC: 1.0}), make.run("alba", 2, cause="server.crash")]
    assert attempted(runs, "alba", "baseline") == 2
