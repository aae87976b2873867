"""Further blocks go where they decide most per GPU second, within a budget."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from patchbench.benchmark import budget
from patchbench.benchmark.budget import Spent
from patchbench.config import Protocol
from patchbench.ledger import journal
from patchbench.verdicts.looks import Looks
from patchbench.verdicts.power import Design, chance_to_decide, chances, visible_gain
from patchbench.verdicts.worth import OpenArm, Worth, is_affordable, worth
from tests.unit import make

LOOKS = Looks(5, 10)
DESIGN = Design(5, Looks(5, 5), 0.01)


def of(*arms: OpenArm, launch: float = 60.0, block: float = 150.0) -> Worth:
    return worth(
        arms, LOOKS, confidence=0.95, times=1.0, launch_seconds=launch, block_seconds=block
    )


def arm(name: str, mean: float, sd: float = 0.01, pairs: int = 5) -> OpenArm:
    return OpenArm(name, pairs, 10 - pairs, mean, sd, 0.01)


def test_the_gain_that_is_seen_is_seen_as_often_as_promised() -> None:
    for chance in (0.8, 0.95):
        gain = visible_gain(0.01, DESIGN, chance)
        assert gain is not None
        assert chances(gain, 0.01, DESIGN).faster == pytest.approx(chance, abs=0.002)
    assert visible_gain(2.0, DESIGN._replace(blocks=2), 0.95) is None


def test_identical_code_is_the_same_or_open() -> None:
    found = chances(0.0, 0.004, DESIGN)
    assert found.faster == pytest.approx(found.slower)
    assert found.faster < 0.001
    assert found.same > 0.9
    assert chances(0.5, 0.004, DESIGN._replace(blocks=1)) == (0, 0, 0)


@settings(max_examples=40)
@given(st.floats(0, 0.1), st.floats(1e-4, 0.1), st.integers(3, 10))
def test_chances_are_symmetric_shares_that_grow_with_the_gain(
    gain: float, sd: float, blocks: int
) -> None:
    design = Design(blocks, LOOKS, 0.01)
    found = chances(gain, sd, design)
    assert all(-1e-9 <= share <= 1 + 1e-9 for share in found) and sum(found) <= 1 + 1e-9
    mirrored = chances(math.expm1(-math.log1p(gain)), sd, design)
    assert mirrored.slower == pytest.approx(found.faster, abs=1e-9)
    assert chances(gain + 0.02, sd, design).faster >= found.faster - 1e-9


def test_a_gain_that_lies_clear_of_the_margin_is_likely_to_be_decided() -> None:
    near, clear = (
        float(chance_to_decide(m, 0.01, 5, Design(10, LOOKS, 0.01))) for m in (0.01, 0.02)
    )
    assert clear > 0.9 > near
    assert float(chance_to_decide(0.02, 0.01, 5, Design(5, LOOKS, 0.01))) == 0


def test_arms_without_a_fair_chance_get_no_block() -> None:
    found = of(arm("alba", 0.02), arm("brio", 0.01, sd=0.3))
    assert found.arms == ("alba",)
    assert found.seconds == found.blocks * 210
    assert 0.5 < found.verdicts <= 1
    assert of(arm("brio", 0.01, sd=0.3)) == Worth()
    assert of(arm("new", 0.02, pairs=1)) == Worth()


def test_an_arm_clear_of_the_margin_is_worth_more_than_one_near_it() -> None:
    assert of(arm("alba", 0.03)).rate > of(arm("alba", 0.012)).rate > 0


def test_cheap_blocks_are_worth_more() -> None:
    assert of(arm("a", 0.02), launch=10, block=20).rate > of(arm("a", 0.02)).rate


def test_what_is_worth_more_comes_first() -> None:
    good, poor = Worth(("a",), 2, 100.0, 1.0), Worth(("b",), 2, 100.0, 0.2)
    assert is_affordable(good, [poor, poor], 100)
    assert not is_affordable(poor, [good], 150)
    assert is_affordable(poor, [good], 200)
    assert not is_affordable(Worth(), [], 1e9)


@given(
    st.lists(st.tuples(st.floats(1, 500), st.floats(0.01, 4)), min_size=1, max_size=12),
    st.floats(0, 3000),
)
def test_what_is_afforded_fits_into_the_budget(
    all_: list[tuple[float, float]], free: float
) -> None:
    every = [Worth(("a",), 1, seconds, verdicts) for seconds, verdicts in all_]
    bought = [
        one for n, one in enumerate(every) if is_affordable(one, every[:n] + every[n + 1 :], free)
    ]
    assert sum(one.seconds for one in bought) <= free + 1e-6


def test_the_budget_becomes_free_as_the_first_blocks_are_done() -> None:
    half = Spent(first=1800, launches=30, further=0)
    assert half.free(2.0, planned=60) == pytest.approx((7200 - 3600) / 2)
    assert half.free(0.5, planned=60) == 0
    assert Spent(3600, 60, 0).free(2.0, planned=60) == pytest.approx(3600)
    assert Spent(0, 0, 0).free(2.0, planned=60) == 0


def test_the_journals_say_what_was_spent(tmp_path: Path) -> None:
    for block, kind, seconds in (
        (1, "run_finished", 60),
        (1, "run_spoilt", 20),
        (6, "run_finished", 30),
    ):
        event = make.event("alba", kind, block=block, seconds=seconds, commit=make.COMMIT)
        journal.write(journal.path(tmp_path, make.COMMIT, block), event)
    assert budget.spent(tmp_path, first=5) == (80, 1, 30)
    plenty, wanted = Worth(("a",), 1, 100.0, 1.0), make.task(protocol=Protocol(budget_gpu_hours=1))
    assert budget.allows(wanted, plenty, lambda: iter(()), tmp_path, planned=1)
    better = Worth(("b",), 1, 3600.0, 100.0)
    assert not budget.allows(wanted, plenty, lambda: iter([better]), tmp_path, planned=1)
    assert not budget.allows(wanted, plenty, lambda: iter(()), tmp_path, planned=1000)
    assert budget.allows(make.task(), plenty, lambda: iter([better]), tmp_path, planned=1000)
