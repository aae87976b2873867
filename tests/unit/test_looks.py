"""Bounds for any number of looks: what they spend, and what they cost."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special

from patchbench.config import Protocol
from patchbench.ledger import looks
from patchbench.verdicts.looks import PLANNED, Looks, nominal_levels, planned, spent

COMMIT = "a" * 40


def test_the_plan_is_the_first_and_the_last_block() -> None:
    assert planned(Protocol(blocks=5)) == Looks(5, 5)
    assert planned(Protocol(blocks=5, max_blocks=3)) == Looks(5, 5)
    assert planned(Protocol(blocks=5, max_blocks=10)) == Looks(5, 10)


def test_the_journal_of_looks_keeps_the_plan_of_the_first(tmp_path: Path) -> None:
    """More blocks after a look are looks beyond that plan, whatever the configuration says now."""
    five, ten = Protocol(blocks=5), Protocol(blocks=8, max_blocks=10)
    assert planned(ten, looks.read(tmp_path, COMMIT)) == Looks(8, 10)
    looks.record(tmp_path, COMMIT, five, [5])
    looks.record(tmp_path, COMMIT, ten, [5, 8])
    looks.record(tmp_path, COMMIT, ten, [8, 10])
    assert [look.blocks for look in looks.read(tmp_path, COMMIT)] == [5, 8, 10]
    assert planned(ten, looks.read(tmp_path, COMMIT)) == Looks(5, 5, (8, 10))


def test_a_single_look_spends_what_is_planned_and_keeps_the_rest() -> None:
    assert Looks(5, 5).level(5) == pytest.approx(1 - PLANNED * 0.05)
    assert Looks(5, 5).level(3) == Looks(5, 5).level(5)  # arms that failed in two blocks
    assert spent(5, 5) == PLANNED < spent(50, 5) < 1


def test_looks_beyond_the_plan_cost_by_their_number() -> None:
    plan = Looks(5, 5)
    once = plan.level(10)
    often = plan._replace(beyond=(6, 7, 8, 9)).level(10)
    assert plan.level(5) < once < often
    assert plan._replace(beyond=(10, 12)).level(10) == once  # later looks change no earlier one
    assert once < 0.999


@given(st.integers(3, 8), st.integers(0, 12), st.integers(1, 9), st.floats(1e-6, 0.05))
@settings(max_examples=25, deadline=None)
def test_p_over_all_looks_agrees_with_the_interval_on_the_careful_side(
    first: int, more: int, at: int, p: float
) -> None:
    plan = Looks(first, first + more)
    blocks = first + at % (more + 1)
    assert p <= plan.p(p, blocks) <= 1
    if plan.p(p, blocks) <= 0.05:
        assert p <= 1 - plan.level(blocks)


def out(at: tuple[int, ...], last: int, walks: np.ndarray) -> float:
    """The share of walks without drift whose t statistic leaves its bound at any of the looks."""
    levels = nominal_levels(at, last, 0.05)
    gone = np.zeros(len(walks), dtype=bool)
    for blocks, level in zip(at, levels, strict=True):
        d = walks[:, :blocks]
        t = d.mean(axis=1) / d.std(axis=1, ddof=1) * np.sqrt(blocks)
        gone |= np.abs(t) > special.stdtrit(blocks - 1, 1 - level / 2)
    return float(gone.mean())


def test_ten_looks_err_as_often_as_promised() -> None:
    walks = np.random.default_rng(12).normal(size=(20_000, 14))
    for at, last in (((5, 6, 7, 8, 9, 10), 10), (tuple(range(5, 15)), 5), ((5, 10), 5)):
        assert 0.04 <= out(at, last, walks) <= 0.0525, (at, last)
    assert out((3, 4, 5, 6, 7), 7, walks) <= 0.0525


def test_levels_are_found_in_no_time() -> None:
    nominal_levels.cache_clear()
    started = time.process_time()
    Looks(5, 99).level(99)
    assert time.process_time() - started < 0.5
