"""The numbers behind a verdict, held against scipy and against printed tables."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from scipy import stats

from patchbench.verdicts.rule import is_faster, is_slower
from patchbench.verdicts.statistics import (
    Paired,
    benjamini_hochberg,
    bootstrap,
    geometric_mean,
    holm,
    log_ratio,
    mcnemar,
    paired,
    shrunk,
    wilcoxon,
    wilson,
)


@pytest.mark.parametrize(
    ("part", "whole", "low", "high"),
    [
        (18, 39, 31.6, 61.4),
        (8, 39, 10.8, 35.5),
        (11, 39, 16.5, 43.8),
        (7, 39, 9.0, 32.7),
        (4, 15, 10.9, 52.0),
        (12, 15, 54.8, 93.0),
        (13, 15, 62.1, 96.3),
    ],
)
def test_wilson_gives_the_intervals_that_are_in_print(
    part: int, whole: int, low: float, high: float
) -> None:
    found = wilson(part, whole)
    assert (round(100 * found[0], 1), round(100 * found[1], 1)) == (low, high)


def test_wilson_knows_nothing_without_trials_and_stays_in_bounds() -> None:
    assert wilson(0, 0) == (0.0, 1.0)
    assert wilson(0, 5)[0] == 0.0
    assert wilson(5, 5)[1] == 1.0


logs_of_blocks = st.lists(st.floats(-2, 2), min_size=2, max_size=12).filter(
    lambda logs: np.std(logs) > 1e-6
)


@given(logs_of_blocks, st.sampled_from([0.8, 0.9, 0.95, 0.99]))
def test_the_paired_interval_is_students_t_on_the_logs(
    logs: list[float], confidence: float
) -> None:
    found = paired(logs, confidence)
    expected = stats.ttest_1samp(logs, 0)
    low, high = expected.confidence_interval(confidence)
    assert found.pairs == len(logs)
    assert math.log(found.ratio) == pytest.approx(np.mean(logs), abs=1e-9)
    assert math.log(found.low) == pytest.approx(low, rel=1e-6, abs=1e-9)
    assert math.log(found.high) == pytest.approx(high, rel=1e-6, abs=1e-9)
    assert found.p == pytest.approx(expected.pvalue, rel=1e-6, abs=1e-12)
    assert found.half_width == pytest.approx((high - low) / 2, rel=1e-6)


def test_one_pair_gives_a_ratio_but_proves_nothing() -> None:
    assert paired([math.log(2)], 0.95) == Paired(pytest.approx(2.0), 0.0, math.inf, 1.0, 1)


def test_no_pairs_are_an_error() -> None:
    with pytest.raises(ValueError, match="no pairs"):
        paired([], 0.95)


@given(
    st.lists(st.floats(-7, 7), min_size=1, max_size=6), st.sampled_from([0.95, 0.99, 0.999, 0.9999])
)
@example([0.0, 2.5], 0.999)
def test_no_spread_of_ratios_breaks_the_interval(logs: list[float], confidence: float) -> None:
    found = paired(logs, confidence)
    assert found.low <= found.ratio <= found.high


def test_over_one_is_better_whichever_way_the_metric_points() -> None:
    assert log_ratio(50.0, 100.0, "lower") == pytest.approx(math.log(2))
    assert log_ratio(200.0, 100.0, "higher") == pytest.approx(math.log(2))
    assert log_ratio(200.0, 100.0, "lower") == pytest.approx(-math.log(2))


@given(st.lists(st.floats(0, 1), max_size=30))
def test_benjamini_hochberg_is_scipys_and_only_raises_p(p_values: list[float]) -> None:
    found = benjamini_hochberg(p_values)
    assert len(found) == len(p_values)
    assert all(after >= before - 1e-12 for before, after in zip(p_values, found, strict=True))
    order = np.argsort(p_values)
    assert list(np.array(found)[order]) == sorted(found)
    if p_values:
        assert found == pytest.approx(list(stats.false_discovery_control(p_values)))


def test_benjamini_hochberg_on_the_textbook_example() -> None:
    assert benjamini_hochberg([0.01, 0.02, 0.03, 0.04]) == pytest.approx([0.04] * 4)
    assert benjamini_hochberg([0.005, 0.5, 0.04]) == pytest.approx([0.015, 0.5, 0.06])


def test_a_geometric_mean_undoes_a_gain_with_its_loss() -> None:
    assert geometric_mean([2.0, 0.5]) == pytest.approx(1.0)
    assert geometric_mean([1.1, 1.2, 1.3]) == pytest.approx(stats.gmean([1.1, 1.2, 1.3]))
    assert geometric_mean([]) is None


def test_a_spread_below_the_least_is_taken_as_the_least_and_then_widened() -> None:
    logs = [0.010, 0.012, 0.011]
    assert paired(logs, 0.95, least=1e-9) == paired(logs, 0.95)
    wide = paired([0.0, 0.02, -0.02], 0.95)
    least = paired(logs, 0.95, least=0.02)
    assert least.half_width == pytest.approx(wide.half_width)
    assert paired(logs, 0.95, least=0.02, widen=1.5).half_width == pytest.approx(
        1.5 * wide.half_width
    )
    assert least.p > paired(logs, 0.95).p


def test_no_spread_at_all_is_no_evidence() -> None:
    assert paired([0.1, 0.1], 0.95) == Paired(math.exp(0.1), 0.0, math.inf, 1.0, 2)


def test_identical_code_is_hardly_ever_called_faster() -> None:
    """2,000 tables of A/A comparisons: 12 tasks, 5 blocks, launches that differ by 3 %, and a
    drift of 3 % over the session of which the rotation leaves each arm its share."""
    rng = np.random.default_rng(20260101)
    tables, tasks, blocks, margin = 2_000, 12, 5, 0.01
    drift = rng.choice([-1, 1], (tables, tasks, 1)) * 0.03 * np.linspace(0, 1, blocks)
    sigma = 0.03 * math.sqrt(2)
    logs = rng.normal(0, sigma, (tables, tasks, blocks)) + drift / 5
    mean = logs.mean(axis=2)
    error = logs.std(axis=2, ddof=1) / math.sqrt(blocks)
    p = 2 * stats.t.sf(np.abs(mean) / error, blocks - 1)
    reach = stats.t.ppf(0.975, blocks - 1) * error
    adjusted = stats.false_discovery_control(p, axis=1)
    faster = (mean - reach > 0) & (np.exp(mean) >= 1 + margin) & (adjusted < 0.05)
    assert faster.mean() < 0.025
    assert faster.any(axis=1).mean() < 0.05
    # The vectorised rule above is the one that decides: both say the same of the first tables.
    for table in range(20):
        found = [paired(list(row), 0.95) for row in logs[table]]
        p_adjusted = benjamini_hochberg([row.p for row in found])
        said = [is_faster(row, q, margin) for row, q in zip(found, p_adjusted, strict=True)]
        assert said == list(faster[table])


def test_a_real_gain_is_mostly_seen() -> None:
    """5 blocks find 10 % in noise of 2 % per launch, and never call it slower."""
    rng = np.random.default_rng(7)
    logs = rng.normal(math.log(1.10), 0.02 * math.sqrt(2), (300, 5))
    found = [paired(list(row), 0.95) for row in logs]
    assert np.mean([is_faster(row, row.p, 0.02) for row in found]) > 0.95
    assert not any(is_slower(row, row.p, 0.02) for row in found)


# --- rates and sizes of whole tables --------------------------------------------------------------


@pytest.mark.parametrize(
    ("first", "second", "p"),
    [(13, 3, 0.021), (13, 2, 0.007), (0, 8, 0.008), (0, 0, 1.0), (5, 5, 1.0), (0, 5, 0.062)],
)
def test_mcnemar_gives_the_p_values_that_are_in_print(first: int, second: int, p: float) -> None:
    assert round(mcnemar(first, second), 3) == p
    assert mcnemar(first, second) == mcnemar(second, first)


def test_holm_on_the_textbook_example() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []
    assert holm([0.9, 0.8]) == [1.0, 1.0]


def test_gains_that_scatter_as_their_errors_say_shrink_to_their_mean() -> None:
    assert shrunk([0.01, 0.02, 0.03], [0.02] * 3) == pytest.approx([0.02] * 3)
    wide = shrunk([0.0, 0.5, 1.0], [0.01] * 3)
    assert wide == pytest.approx([0.0, 0.5, 1.0], abs=1e-3)
    sure, unsure = shrunk([0.0, 0.3, 0.3, 0.1], [0.05, 0.01, 0.1, 0.05])[1:3]
    assert 0.3 > sure > unsure > 0.2


def test_the_mean_of_winners_is_too_high_as_measured_and_about_right_shrunk() -> None:
    rng = np.random.default_rng(11)
    raw, drawn, true = [], [], []
    for _ in range(300):
        gains = rng.normal(0.01, 0.02, 20)
        blocks = gains[:, None] + rng.normal(0, 0.025, (20, 5))
        seen, errors = blocks.mean(axis=1), blocks.std(axis=1, ddof=1) / math.sqrt(5)
        won = seen > 2.8 * errors
        raw += list(seen[won])
        drawn += list(np.array(shrunk(list(seen), list(errors)))[won])
        true += list(gains[won])
    assert np.mean(raw) - np.mean(true) > 0.003
    assert abs(np.mean(drawn) - np.mean(true)) < 0.002


@given(st.lists(st.floats(0, 1), max_size=12))
def test_holm_lies_between_no_correction_and_bonferroni(p_values: list[float]) -> None:
    found = holm(p_values)
    for before, after in zip(p_values, found, strict=True):
        assert before <= after <= min(1.0, before * len(p_values)) + 1e-12 or after == max(found)
    order = np.argsort(p_values, kind="stable")
    assert list(np.array(found)[order]) == sorted(found)


different_sizes = st.lists(
    st.floats(-5, 5).filter(lambda x: x != 0), min_size=1, max_size=14, unique_by=abs
)


@given(different_sizes)
def test_wilcoxon_is_exact_where_nothing_is_tied(differences: list[float]) -> None:
    expected = stats.wilcoxon(differences, method="exact").pvalue
    assert wilcoxon(differences) == pytest.approx(expected)


@given(st.lists(st.integers(-3, 3), max_size=9))
def test_wilcoxon_is_exact_with_ties_too(differences: list[int]) -> None:
    """Held against the definition: every sign pattern of the same sizes is equally likely."""
    sizes = [abs(d) for d in differences if d]
    ranks = stats.rankdata(sizes)
    sums = [
        sum(rank for rank, up in zip(ranks, signs, strict=True) if up)
        for signs in itertools.product((False, True), repeat=len(sizes))
    ]
    found = sum(rank for rank, d in zip(ranks, [d for d in differences if d], strict=True) if d > 0)
    below, above = (np.mean([s <= found for s in sums]), np.mean([s >= found for s in sums]))
    assert wilcoxon(differences) == pytest.approx(min(1.0, 2 * min(below, above)))


def test_the_bootstrap_is_the_same_every_time_and_in_any_order() -> None:
    ratios = list(np.random.default_rng(3).lognormal(0.1, 0.2, 40))
    low, high = bootstrap(ratios)
    assert bootstrap(ratios[::-1]) == (low, high)
    assert low < geometric_mean(ratios) < high
    # About Student's interval on the logs, as it must be with 40 commits.
    t = stats.ttest_1samp(np.log(ratios), 0).confidence_interval()
    assert (math.log(low), math.log(high)) == pytest.approx((t.low, t.high), abs=0.01)


def test_one_commit_has_no_interval() -> None:
    assert bootstrap([1.2]) is None
    assert bootstrap([]) is None
    assert bootstrap([1.2, 1.2]) == pytest.approx((1.2, 1.2))
