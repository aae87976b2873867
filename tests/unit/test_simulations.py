"""Small, seeded versions of what benchmarks/simulate_verdicts.py prints."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from benchmarks import simulate_verdicts
from benchmarks.simulate_verdicts import (
    BOUNDS,
    CORRECTIONS,
    FALSE_LIMIT,
    MACHINES,
    NOISES,
    PLANS,
    decisions,
    discoveries,
    errors,
    found,
    gains,
    normal,
    recorded,
    single_pair,
)

from patchbench.config import Protocol
from patchbench.verdicts.comparisons import compare_all
from patchbench.verdicts.looks import Looks
from patchbench.verdicts.statistics import benjamini_hochberg
from tests.unit import make

# The five launches of ../shared/data/vllm-h100/aa-launches.csv, output tokens per second.
H100 = [7205.628, 7286.44, 8823.96, 8097.666, 8189.337]


@pytest.mark.parametrize("noise", NOISES)
@pytest.mark.parametrize("plan", PLANS)
def test_identical_code_is_hardly_ever_called_faster_however_often_one_looks(
    noise: str, plan: str
) -> None:
    seen = errors(NOISES[noise](0.03), plan, 1000, seed=3)
    assert seen.faster <= FALSE_LIMIT + 0.01
    assert 0.935 <= seen.covered <= 0.98


def test_a_look_after_each_block_at_95_percent_would_err_twice_as_often() -> None:
    d = gains(normal(0.03), np.random.default_rng(6), 2000, 10)[:, 0]
    seen = decisions(d, Looks(5, 10), tuple(range(5, 11)))
    careless = np.abs(seen.mean) > seen.half * np.array(
        [
            BOUNDS["95 % at each look (wrong)"](n) / BOUNDS["spending (used)"](n)
            for n in range(5, 11)
        ]
    )
    assert careless.any(axis=1).mean() > 0.09
    assert (~seen.covers(0.0)).any(axis=1).mean() < 0.06


def test_a_gain_of_2_percent_is_found_on_an_h200_with_five_blocks_and_on_an_h100_with_ten() -> None:
    bound = BOUNDS["spending (used)"]
    five, _, _ = found(normal(MACHINES["H200"]), 0.02, bound, 500, seed=4)
    early, ten, blocks = found(normal(MACHINES["H100"]), 0.02, bound, 500, seed=4)
    assert five >= 0.95
    assert early < ten >= 0.9
    assert 5 < blocks < 6
    always = found(normal(MACHINES["H100"]), 0.02, BOUNDS["always valid (t mixture)"], 500, seed=4)
    assert always[0] < early


@pytest.mark.parametrize("agents", [3, 20])
@pytest.mark.parametrize("noise", ["normal", "correlated"])
def test_false_discoveries_stay_below_5_percent_with_many_agents_on_one_baseline(
    agents: int, noise: str
) -> None:
    used = "Benjamini-Hochberg (used)"
    for real in (0.0, 0.3):
        assert discoveries(agents, real, NOISES[noise](0.01), used, 500, seed=5).false <= 0.05
    plain = discoveries(agents, 0.0, NOISES["normal"](0.01), "none", 500, seed=5)
    assert agents == 3 or plain.any > 0.1


def test_real_launches_of_identical_code_are_not_called_faster() -> None:
    for plan in PLANS:
        assert errors(recorded(H100), plan, 1000, seed=7).faster <= FALSE_LIMIT + 0.01
    assert 0.75 <= single_pair(H100, 400, seed=7) <= 0.90


def test_the_saved_launches_are_these() -> None:
    if not simulate_verdicts.RECORDED.is_file():
        pytest.skip("no recorded launches here")
    assert simulate_verdicts.read_launches(simulate_verdicts.RECORDED)["output_throughput"] == H100


@pytest.mark.parametrize(("gain", "most"), [(0.0, 5), (0.02, 10), (0.03, 10)])
def test_decisions_on_arrays_are_those_of_the_table_of_comparisons(gain: float, most: int) -> None:
    """The same d, as launches of a baseline at 1 and of one arm, through ``compare_all``."""
    d = gains(normal(0.008), np.random.default_rng(9), 30, most)[:, 0] + math.log1p(gain)
    looks = Looks(5, most)
    seen = decisions(d, looks, tuple(range(5, most + 1)))
    plan = make.task(primary_metric="output_tps", protocol=Protocol(blocks=5, max_blocks=most))
    rules = simulate_verdicts.RULES
    words = set()
    for repetition, logs in enumerate(d):
        for place, blocks in enumerate(range(5, most + 1)):
            values = {"baseline": [1.0] * blocks, "alba": list(np.exp(logs[:blocks]))}
            metrics = make.measured(plan.commit, values, "output_tps")
            (row,) = compare_all({plan.commit: plan}, {plan.commit: metrics}, ["alba"], rules)
            one = simulate_verdicts.Decisions(*(part[repetition, place] for part in seen))
            assert row.p_adjusted == pytest.approx(float(one.p), rel=1e-6)
            assert math.log(row.low) == pytest.approx(float(one.mean - one.half), abs=1e-9)
            assert (row.verdict == "faster") == bool(one.faster(rules.margin))
            assert (row.verdict == "same") == bool(
                one.same(rules.margin) and not one.faster(rules.margin)
            )
            words.add(row.verdict)
    assert len(words) > 1


def test_corrections_on_arrays_are_those_of_the_package() -> None:
    p = np.random.default_rng(1).uniform(0, 0.1, (5, 7))
    adjusted = CORRECTIONS["Benjamini-Hochberg (used)"](p)
    for row, wanted in zip(p, adjusted, strict=True):
        assert benjamini_hochberg(list(row)) == pytest.approx(list(wanted))
    holm = CORRECTIONS["Holm"](p)
    assert (holm >= adjusted - 1e-12).all()


def test_the_same_seed_gives_the_same_rates() -> None:
    assert errors(normal(0.03), "5", 50, seed=1) == errors(normal(0.03), "5", 50, seed=1)


def test_every_table_has_its_rows(tmp_path: Path) -> None:
    for name, table in simulate_verdicts.TABLES.items():
        lines = list(table(4, 1))
        assert len(lines) > 6, name
        assert lines[1][0].startswith("|---"), name
    assert "left out" in next(iter(simulate_verdicts.recorded_table(tmp_path / "x", 5, 1)))[0]
