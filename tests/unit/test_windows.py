"""`windows: auto`: as many as pay, by the load alone, and one for a benchmark of its own."""

from __future__ import annotations

import pytest

from patchbench.config import Protocol
from patchbench.grading.default_noise import default_costs
from patchbench.grading.launch_noise import Costs, Noise, best_windows
from patchbench.load import Batch, ClosedLoop, Lengths, Load, Poisson, RandomPrompts, Shape
from patchbench.plan.windows import AUTO, LONGEST, with_windows
from tests.unit import make

QUIET = Noise(window=0.0075, launch=0.0025)


def load(shape: Shape, output: int = 128) -> Load:
    lengths = Lengths(low=output, high=output)
    return Load(model="m", shape=shape, prompts=RandomPrompts(prompt=lengths, output=lengths))


def windows(shape: Shape, auto: int = AUTO) -> int:
    workload = make.workload(load=load(shape))
    task = make.task(
        workload=workload, primary_metric="output_tps", protocol=Protocol(windows=auto)
    )
    return with_windows(task).protocol.windows


def test_short_windows_are_many_and_long_ones_few() -> None:
    few = windows(ClosedLoop(requests=4096, concurrency=64))
    many = windows(ClosedLoop(requests=256, concurrency=64))
    assert 1 <= few < many
    assert windows(Poisson(requests=1000, rate=1.0)) == 1
    assert windows(Batch(size=8, rounds=30)) < many


def test_a_number_that_was_given_stays() -> None:
    assert windows(ClosedLoop(requests=256, concurrency=64), auto=3) == 3


def test_a_benchmark_of_its_own_starts_once() -> None:
    assert with_windows(make.task(protocol=Protocol(windows=AUTO))).protocol.windows == 1
    excluded = make.task(workload=None, protocol=Protocol(windows=AUTO))
    assert with_windows(excluded).protocol.windows == 1


def test_a_launch_has_a_time_limit() -> None:
    costs = Costs(start=26.0, window=50.0)
    most = best_windows(Noise(window=0.05, launch=0.0), costs, LONGEST)
    assert costs.of_launch(most) <= LONGEST < costs.of_launch(most + 1)
    assert best_windows(QUIET, Costs(start=400.0, window=5.0), LONGEST) == 1


def test_the_best_number_is_the_one_that_tells_most_per_second() -> None:
    costs = Costs(start=26.0, window=4.9)
    best = best_windows(QUIET, costs, LONGEST)
    waste = {n: QUIET.of_ratio(n) ** 2 * costs.of_launch(n) for n in range(1, 20)}
    assert best == min(waste, key=waste.__getitem__) == 7


def test_costs_follow_from_the_load() -> None:
    rate = default_costs(load(Poisson(requests=100, rate=0.5)))
    assert rate.window == pytest.approx(200)
    assert default_costs(load(Batch(size=8, rounds=30), output=64)).window == pytest.approx(
        15, rel=0.01
    )
    assert default_costs(load(ClosedLoop(requests=1, concurrency=1), output=1)).window == 1
    assert default_costs(None).window == pytest.approx(4.9)
