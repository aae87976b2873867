"""Scores of answers: wrong ones are flagged, honest noise isn't, a bad baseline excuses none."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from patchbench.judge.answers import (
    ALPHA,
    MIN_ANSWERS,
    agreeing,
    check_answers,
    mann_whitney,
    tail_count,
    trimmed_mean,
)
from patchbench.judge.scores import Score, Scores


def launch(
    seed: int,
    count: int = 48,
    tokens: int = 128,
    off: float = 0.11,
    gap: float = 0.14,
    distinct: int = 60,
) -> Scores:
    """Scores like those measured on an H200: ``off`` of the tokens aren't the first choice, by an
    exponential gap of mean ``gap`` (0.11 x 0.14 = 0.0154 nats in the mean)."""
    draw = random.Random(seed)
    scores = []
    for index in range(count):
        gaps = (draw.expovariate(1 / gap) if draw.random() < off else 0.0 for _ in range(tokens))
        scores.append(Score(index=index, gaps=tuple(gaps), distinct=distinct))
    return Scores(block=1, window=1, form="prompt_logprobs", scores=tuple(scores))


def mixed(good: Scores, bad: Scores, indices: set[int]) -> Scores:
    pairs = zip(good.scores, bad.scores, strict=True)
    scores = tuple(b if b.index in indices else g for g, b in pairs)
    return Scores(block=1, window=1, form="prompt_logprobs", scores=scores)


BASE = [launch(1), launch(2)]


@pytest.mark.parametrize("seed", range(3, 23))
def test_another_launch_is_like_the_baseline(seed: int) -> None:
    check = check_answers(launch(seed), BASE, greedy=True)
    assert check.status == "like_baseline", check


def test_another_batch_size_is_honest() -> None:
    """0.0207 against 0.0152 nats, 12.6 against 10.9 % of the tokens, as measured."""
    assert check_answers(launch(9, off=0.126, gap=0.164), BASE).status == "like_baseline"


def test_weights_that_make_other_kernels_look_wrong_need_no_conclusion() -> None:
    """24 % of the tokens by 0.35 nats: attention in Triton on sharp weights, as measured."""
    other = launch(9, off=0.24, gap=0.35)
    assert check_answers(other, BASE).status == "wrong_output"
    check = check_answers(other, BASE, controls=[launch(8, off=0.24, gap=0.35)])
    assert check.status == "not_usable"
    assert "other kernels" in check.reason
    assert check_answers(other, BASE, controls=[launch(8)]).status == "wrong_output"
    assert check_answers(other, BASE, controls=[launch(8, count=3)]).status == "not_usable"


@pytest.mark.parametrize(
    ("name", "off", "gap"),
    [("a layer less", 0.508, 0.81), ("FP8 cache", 0.919, 3.37), ("FP8 weights", 0.967, 4.7)],
)
def test_wrong_models_are_flagged(name: str, off: float, gap: float) -> None:
    check = check_answers(launch(9, off=off, gap=gap), BASE)
    assert (check.status, check.rule) == ("wrong_output", "mean"), name
    assert check.worst is not None and check.worst_gap > check.mean_gap > 10 * check.baseline_gap


def test_a_few_garbage_answers_are_flagged() -> None:
    garbage = launch(9, off=0.9, gap=3.0)
    arm = mixed(launch(8), garbage, {5, 40})
    check = check_answers(arm, BASE)
    assert (check.status, check.rule) == ("wrong_output", "gross")
    assert check.worst in (5, 40)
    mild = launch(9, off=0.3, gap=0.5)
    assert check_answers(mixed(launch(8), mild, set(range(10))), BASE).rule == "tail"


def test_a_guessed_first_token_is_flagged() -> None:
    honest = launch(8)
    scores = tuple(
        Score(index=s.index, gaps=(4.0, *s.gaps[1:]), distinct=s.distinct) for s in honest.scores
    )
    arm = Scores(block=1, window=1, form="echo", scores=scores)
    assert check_answers(arm, BASE).rule == "first"


def test_a_bad_end_is_flagged() -> None:
    scores = tuple(
        Score(index=s.index, gaps=(*s.gaps[:-10], *(0.4,) * 10), distinct=s.distinct)
        for s in launch(8).scores
    )
    arm = Scores(block=1, window=1, form="echo", scores=scores)
    assert check_answers(arm, BASE).rule == "end"


def test_one_bad_launch_of_the_baseline_excuses_no_arm() -> None:
    bad = launch(7, off=0.5, gap=0.8)
    arm = launch(9, off=0.5, gap=0.8)
    two = check_answers(arm, [BASE[0], bad])
    assert two.status == "not_usable" and "no two" in two.reason
    three = check_answers(arm, [BASE[0], bad, BASE[1]])
    assert three.status == "wrong_output" and three.launches == 2
    assert agreeing([bad, *BASE]) == BASE
    assert check_answers(launch(10), [BASE[0], bad, BASE[1]]).status == "like_baseline"


def test_when_the_check_cannot_be_used() -> None:
    none = Scores(block=1, window=1, form="none")
    few = launch(5, count=MIN_ANSWERS - 1)
    same = [launch(n, off=0.0, distinct=1) for n in (1, 2)]
    far = [launch(n, off=0.9, gap=3.0) for n in (1, 2)]
    cases = (
        (none, BASE, "scores no tokens"),
        (few, BASE, "answers of the arm"),
        (launch(5), BASE[:1], "not two"),
        (launch(5), [BASE[0], few], "not two"),
        (launch(5), same, "repeat one token"),
        (launch(5), far, "off its first choices"),
    )
    for arm, launches, why in cases:
        check = check_answers(arm, launches, greedy=True)
        assert check.status == "not_usable" and why in check.reason
    assert check_answers(launch(5, off=0.9, gap=3.0), far).status == "like_baseline"


VALUES = st.lists(st.integers(0, 30).map(float), min_size=20, max_size=60)


@given(VALUES, VALUES)
def test_mann_whitney_is_scipys(high: list[float], low: list[float]) -> None:
    if len(set(high + low)) == 1:
        assert mann_whitney(high, low) == 1.0
        return
    want = stats.mannwhitneyu(high, low, alternative="greater", method="asymptotic").pvalue
    assert mann_whitney(high, low) == pytest.approx(want, abs=1e-9)


@given(st.integers(1, 200), st.integers(20, 400))
def test_tail_counts_keep_their_false_alarm_rate(n: int, m: int) -> None:
    k = tail_count(n, m)
    if k <= n:
        # all k largest of n + m among the n: hypergeometric
        assert stats.hypergeom(n + m, n, k).pmf(k) <= ALPHA * (1 + 1e-9)
        assert k == 1 or stats.hypergeom(n + m, n, k - 1).pmf(k - 1) > ALPHA * (1 - 1e-9)
    else:
        assert stats.hypergeom(n + m, n, n).pmf(n) > ALPHA * (1 - 1e-9)


@given(st.lists(st.floats(0, 100), min_size=10, max_size=100))
def test_trimmed_mean_is_scipys(values: list[float]) -> None:
    assert trimmed_mean(values) == pytest.approx(float(stats.trim_mean(values, 0.1)))
