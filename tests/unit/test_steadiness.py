"""A task is unsteady where its own A/A pairs scatter more than identical code does elsewhere."""

from __future__ import annotations

import math

import msgspec
import numpy as np
import pytest

from patchbench.records import Metrics
from patchbench.verdicts.noise_floor import floors
from patchbench.verdicts.steadiness import steady
from tests.unit import make

METRIC = "ttft_median_ms"
NAMES = [digit * 40 for digit in "abcdef0123456789"]


def task_of(commit: str, aa: list[float], human: list[float] | None = None) -> Metrics:
    """Five blocks whose A/A pairs and human's gains have the given log ratios."""
    values = {"baseline": [100.0] * 5}
    if human:
        values["human"] = [100.0 * math.exp(-log) for log in human]
    found = make.measured(commit, values, METRIC)
    pairs = [
        make.run("baseline-aa", block, metrics={METRIC: 100.0 * math.exp(-log)})
        for block, log in enumerate(aa, 1)
    ]
    return msgspec.structs.replace(found, runs=(*found.runs, *pairs))


def judged(*found: Metrics, smallest: float = 0.02) -> list[bool | None]:
    metrics = {one.commit: one for one in found}
    tasks = {commit: make.task(commit) for commit in metrics}
    out = steady(tasks, metrics, floors(tasks, metrics, smallest))
    return [out[one.commit] for one in found]


QUIET = [0.002, -0.003, 0.004, -0.001, 0.003]


def test_pairs_within_the_floor_are_steady() -> None:
    assert judged(task_of(NAMES[0], [0.01])) == [True]


def test_a_task_without_pairs_is_neither() -> None:
    assert judged(task_of(NAMES[0], [])) == [None]


def test_one_wild_task_among_quiet_ones_is_unsteady() -> None:
    others = [task_of(name, [log]) for name, log in zip(NAMES[1:7], [*QUIET, 0.002], strict=True)]
    assert judged(task_of(NAMES[0], [0.15]), *others) == [False, *[True] * 6]


def test_the_largest_of_a_tasks_own_pairs_is_not_called_unsteady() -> None:
    """Seen on an H100: the floor came from the very pairs, and each of three tasks was unsteady."""
    gain = 0.095
    human = [gain - 0.02, gain + 0.015, gain + 0.01, gain - 0.01, gain + 0.005]
    serving = task_of(NAMES[0], [-0.022, 0.017, 0.013], human)
    assert judged(serving) == [True]


def test_what_the_human_shows_to_be_quiet_makes_wild_pairs_unsteady() -> None:
    human = [0.1 + log for log in QUIET]
    assert judged(task_of(NAMES[0], [0.06, -0.05, 0.07], human)) == [False]


def test_with_nothing_to_hold_them_against_nothing_is_said() -> None:
    assert judged(task_of(NAMES[0], [0.05, -0.01, 0.02, 0.03, -0.02])) == [None]


@pytest.mark.parametrize("pairs", [1, 3])
def test_steady_campaigns_are_hardly_ever_called_unsteady(pairs: int) -> None:
    """2,000 tasks of equally noisy launches: one in a hundred at most, and the error of that."""
    rng = np.random.default_rng(pairs)
    found = []
    for _ in range(200):
        tasks = [task_of(name, list(rng.normal(0, 0.03, pairs))) for name in NAMES[:10]]
        found += judged(*tasks)
    assert found.count(False) / len(found) < 0.015
