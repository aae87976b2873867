"""What identical code differs by, from the closest evidence of which there is enough."""

from __future__ import annotations

import math

import msgspec
import numpy as np
import pytest

from patchbench.records import Metrics
from patchbench.verdicts.noise_floor import Floor, aa_logs, floors, human_logs, repeat_logs
from tests.unit import make

A, B = "a" * 40, "b" * 40
METRIC = "ttft_median_ms"
STEADY = [100.0, 101.0, 99.0, 100.5, 99.5]


def with_aa(commit: str, *changes: float, metric: str = METRIC) -> Metrics:
    """Five steady blocks, the first ones with a second launch of the baseline."""
    metrics = make.measured(commit, {"baseline": STEADY, "alba": STEADY}, metric)
    aa = [
        make.run("baseline-aa", block, metrics={metric: STEADY[block - 1] * (1 + change)})
        for block, change in enumerate(changes, 1)
    ]
    return msgspec.structs.replace(metrics, runs=(*metrics.runs, *aa))


def test_an_aa_pair_is_two_launches_of_the_baseline_in_one_block() -> None:
    assert aa_logs(with_aa(A, 0.10).runs, METRIC) == pytest.approx([-math.log(1.1)])
    assert aa_logs(with_aa(A).runs, METRIC) == []


DRIFT = [100.0, 200.0, 400.0, 800.0, 1600.0]


def test_the_humans_blocks_show_noise_that_drift_can_not_touch() -> None:
    values = {"baseline": DRIFT, "human": [value / 1.3 for value in DRIFT]}
    assert human_logs(make.measured(A, values).runs, METRIC) == pytest.approx([0.0] * 5)
    values["human"][2] *= 1.1
    found = human_logs(make.measured(A, values).runs, METRIC)
    assert max(map(abs, found)) == pytest.approx(math.log(1.1) * 0.8 * math.sqrt(5 / 4))


def test_the_humans_blocks_have_the_spread_of_aa_pairs() -> None:
    rng = np.random.default_rng(2)
    logs = []
    for _ in range(300):
        base, human = (list(np.exp(rng.normal(0, 0.03, 5))) for _ in range(2))
        logs += human_logs(make.measured(A, {"baseline": base, "human": human}).runs, METRIC)
    assert np.std(logs) == pytest.approx(0.03 * math.sqrt(2), rel=0.05)


def test_one_block_of_the_human_shows_no_noise() -> None:
    assert human_logs(make.measured(A, {"baseline": [1.0], "human": [2.0]}).runs, METRIC) == []


def test_launches_of_one_arm_are_held_against_each_other() -> None:
    runs = make.measured(A, {"baseline": [10.0, 20.0, 10.0], "alba": [5.0, 5.0]}).runs
    log = math.log(2)
    assert sorted(repeat_logs(runs, METRIC)) == pytest.approx([-log, 0.0, 0.0, log])


def one(metrics: Metrics, **task: object) -> Floor:
    return floors({A: make.task(A, **task)}, {A: metrics}, 0.02)[A, METRIC]


def test_five_aa_pairs_are_enough_by_themselves() -> None:
    changes = (0.01, -0.02, 0.03, 0.04, 0.05)
    found = one(with_aa(A, *changes))
    wanted = np.quantile(np.abs(np.log1p(changes)), 0.95)
    assert found == (pytest.approx(math.expm1(wanted)), 5, "A/A pairs of this model")


def test_few_aa_pairs_are_joined_by_the_humans_blocks() -> None:
    wobble = [1.05, 0.97, 1.0, 1.02, 0.96]
    values = {"baseline": STEADY, "human": [v * w for v, w in zip(STEADY, wobble, strict=True)]}
    metrics = make.measured(A, values)
    aa = make.run("baseline-aa", 1, metrics={METRIC: 115.0})
    found = one(msgspec.structs.replace(metrics, runs=(*metrics.runs, aa)))
    logs = [math.log(1.15), *human_logs(metrics.runs, METRIC)]
    wanted = math.expm1(float(np.quantile(np.abs(logs), 0.95)))
    assert found == (pytest.approx(wanted), 6, "A/A pairs and the human's blocks")


def test_without_a_human_launches_in_different_blocks_join_them() -> None:
    found = one(with_aa(A, 0.15))
    logs = [math.log(1.15), *repeat_logs(with_aa(A).runs, METRIC)]
    wanted = math.expm1(float(np.quantile(np.abs(logs), 0.95)))
    assert found == (pytest.approx(wanted), 21, "A/A pairs and launches in different blocks")


def test_a_single_lucky_aa_pair_is_no_licence() -> None:
    """Launches that differ by 10 % from block to block, and an A/A pair that happens to agree."""
    shaky = make.measured(A, {"baseline": [100.0, 110.0, 100.0, 112.0, 101.0]})
    aa = make.run("baseline-aa", 1, metrics={METRIC: 100.0})
    assert one(msgspec.structs.replace(shaky, runs=(*shaky.runs, aa))).change > 0.09


def test_an_agents_patch_can_not_raise_a_floor_where_there_is_a_human() -> None:
    values = {"baseline": STEADY, "human": STEADY, "alba": [1.0, 100.0, 1.0, 100.0, 1.0]}
    assert one(make.measured(A, values)).change == 0.02


def test_no_evidence_leaves_the_smallest_change() -> None:
    lone = make.measured(A, {"baseline": [100.0], "alba": [100.0]})
    assert one(lone) == (0.02, 0, "the smallest change that counts")


def test_a_models_own_pairs_come_before_those_of_others() -> None:
    tasks = {A: make.task(A), B: make.task(B, workload=make.workload(model="large"))}
    quiet, loud = with_aa(A, *[0.001] * 5), with_aa(B, *[0.2] * 5)
    found = floors(tasks, {A: quiet, B: loud}, 0.02)
    assert found[A, METRIC].change == 0.02
    assert found[B, METRIC].change == pytest.approx(0.2)
    found = floors(tasks, {A: quiet, B: with_aa(B, 0.2)}, 0.02)
    assert (found[B, METRIC].pairs, found[B, METRIC].source) == (6, "A/A pairs")


def test_subjects_and_metrics_are_kept_apart() -> None:
    other = make.task(B, subject=make.subject(name="other"))
    found = floors({A: make.task(A), B: other}, {A: with_aa(A, *[0.2] * 5), B: with_aa(B)}, 0.02)
    assert found[B, METRIC].change < 0.021
    throughput = make.task(B, primary_metric="output_tps")
    metrics = {A: with_aa(A, *[0.2] * 5), B: with_aa(B, metric="output_tps")}
    assert floors({A: make.task(A), B: throughput}, metrics, 0.02)[B, "output_tps"].change < 0.021
