"""From a comparison to one word."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patchbench.verdicts.looks import Looks
from patchbench.verdicts.rule import (
    MARKS,
    REVIEW_MARK,
    VERDICTS,
    blocks_to_decide,
    decide,
    is_not_worse,
    is_slower,
    review,
    visible,
)
from patchbench.verdicts.statistics import Paired, paired, projected

MARGIN = 0.05


def found(low: float, ratio: float, high: float, p: float = 0.001, pairs: int = 5) -> Paired:
    return Paired(ratio, low, high, p, pairs)


def word(pair: Paired | None, **more: object) -> str:
    asked = {
        "p_adjusted": pair.p if pair else 1.0,
        "margin": MARGIN,
        "min_blocks": 3,
        "implausible": False,
        **more,
    }
    return decide(pair, **asked)


@pytest.mark.parametrize(
    ("pair", "expected"),
    [
        (found(1.08, 1.10, 1.12), "faster"),
        (found(1.001, 1.06, 1.12), "faster"),
        (found(0.999, 1.10, 1.22), "inconclusive"),
        (found(1.01, 1.04, 1.07), "inconclusive"),
        (found(1.01, 1.03, 1.049), "same"),
        (found(0.97, 1.00, 1.03), "same"),
        (found(0.94, 1.00, 1.03), "inconclusive"),
        (found(0.88, 0.90, 0.92), "slower"),
        (found(0.93, 0.96, 0.99), "inconclusive"),
        (found(0.80, 0.90, 1.01), "inconclusive"),
        (found(1.08, 1.10, 1.12, p=0.06), "inconclusive"),
        (found(0.88, 0.90, 0.92, p=0.06), "inconclusive"),
        (found(1.08, 1.10, 1.12, pairs=2), "inconclusive"),
        (found(0.97, 1.00, 1.03, pairs=2), "inconclusive"),
        (Paired(2.0, 0.0, math.inf, 1.0, 1), "inconclusive"),
        (None, "not measured"),
    ],
)
def test_the_word_of_a_comparison(pair: Paired | None, expected: str) -> None:
    assert word(pair) == expected


@pytest.mark.parametrize(
    ("guard", "gain"),
    [("held", "faster"), ("open", "faster, guard open"), ("lost", "trade-off")],
)
def test_a_gain_counts_only_if_its_guards_held(guard: str, gain: str) -> None:
    assert word(found(1.08, 1.10, 1.12), guard=guard) == gain
    assert word(found(0.97, 1.00, 1.03), guard=guard) == "same"
    assert word(found(0.88, 0.90, 0.92), guard=guard) == "slower"


def test_a_gain_too_good_to_be_true_is_suspicious_before_all_else() -> None:
    gain = found(11, 12, 13)
    assert word(gain, implausible=True) == "suspicious"
    assert word(gain, implausible=True, guard="lost") == "suspicious"
    assert word(found(0.97, 1.00, 1.03), implausible=True) == "same"


LIMITS = {"over": 2.0, "times_human": 3.0}


def test_a_gain_of_many_times_the_humans_is_to_be_reviewed() -> None:
    human = found(1.15, 1.20, 1.25)
    assert review(found(1.5, 1.61, 1.7), human, **LIMITS) == "3.1 times the human's gain"
    assert review(found(1.5, 1.59, 1.7), human, **LIMITS) is None
    assert review(found(0.5, 0.6, 0.7), human, **LIMITS) is None


def test_a_doubling_is_to_be_reviewed_unless_the_human_got_it_too() -> None:
    assert review(found(1.9, 2.1, 2.3), None, **LIMITS) == "over 2x"
    assert review(found(1.8, 1.9, 2.0), None, **LIMITS) is None
    assert review(found(1.9, 2.1, 2.3), found(1.9, 2.0, 2.2), **LIMITS) is None
    assert review(found(2.9, 3.0, 3.1), found(1.9, 2.0, 2.2), **LIMITS) == "over 2x"


def test_not_worse_means_that_the_interval_excludes_a_loss_of_the_margin() -> None:
    assert is_not_worse(found(0.96, 1.00, 1.04), MARGIN)
    assert not is_not_worse(found(0.94, 1.00, 1.06), MARGIN)
    assert not is_not_worse(Paired(1.2, 0.0, math.inf, 1.0, 1), MARGIN)


def test_what_could_be_seen_is_half_of_the_interval_or_the_margin() -> None:
    assert visible(found(1 / 1.2, 1.0, 1.2), 0.05) == pytest.approx(0.2)
    assert visible(found(0.99, 1.0, 1.01), 0.05) == 0.05
    assert visible(Paired(1.2, 0.0, math.inf, 1.0, 1), 0.05) is None


def test_every_verdict_has_a_mark_of_its_own() -> None:
    assert set(MARKS) == set(VERDICTS)
    assert len({REVIEW_MARK, *MARKS.values()}) == len(VERDICTS) + 1


ratios = st.floats(0.1, 9.0)


@given(st.tuples(ratios, ratios, ratios).map(sorted), st.floats(0, 0.2), st.floats(0, 1))
def test_slower_is_faster_seen_in_a_mirror(bounds: list[float], margin: float, p: float) -> None:
    low, ratio, high = bounds
    mirror = Paired(1 / ratio, 1 / high, 1 / low, p, 5)
    said = word(Paired(ratio, low, high, p, 5), margin=margin, p_adjusted=p)
    back = word(mirror, margin=margin, p_adjusted=p)
    swapped = {"faster": "slower", "slower": "faster"}
    edge = abs(ratio * (1 + margin) - 1) < 1e-9 or abs(ratio - 1 - margin) < 1e-9
    edge |= any(abs(bound - 1) < 1e-9 for bound in bounds)
    edge |= any(abs(b - 1 - margin) < 1e-9 or abs(b * (1 + margin) - 1) < 1e-9 for b in bounds)
    assert edge or back == swapped.get(said, said)
    assert not (
        is_slower(mirror, p, margin) and is_slower(Paired(ratio, low, high, p, 5), p, margin)
    )


LOOKS = Looks(5, 20)


def needed(logs: list[float], margin: float, table: float) -> int | None:
    level = LOOKS.level(len(logs))
    return blocks_to_decide(
        paired(logs, level),
        level=level,
        table=table,
        margin=margin,
        looks=LOOKS,
        confidence=0.95,
        min_blocks=3,
    )


@given(
    st.lists(st.floats(-0.1, 0.1), min_size=2, max_size=8),
    st.floats(0.01, 0.1),
    st.sampled_from([1.0, 2.0, 10.0]),
)
def test_the_blocks_that_decide_are_enough_and_hardly_too_many(
    logs: list[float], margin: float, table: float
) -> None:
    level = LOOKS.level(len(logs))
    now = paired(logs, level)
    count = needed(logs, margin, table)
    if count is None or count > LOOKS.last:
        return

    def word_at(pairs: int) -> str:
        then = projected(now, level, pairs, LOOKS.level(pairs))
        p = min(1.0, table * LOOKS.p(then.p, pairs))
        return word(then, margin=margin, p_adjusted=p)

    assert word_at(count) != "inconclusive"
    fewer = count - 1
    assert fewer < max(3, len(logs) + 1) or word_at(fewer) == "inconclusive"


def test_a_gain_at_the_margin_is_never_decided() -> None:
    assert needed([math.log(1.0199), 0.0, 2 * math.log(1.0199)], 0.0198, 1.0) is not None
    at = math.log1p(0.02) * (1 - 1e-12)
    assert needed([at - 0.01, at, at + 0.01], 0.02, 1.0) is None
    assert needed([0.5], 0.02, 1.0) is None


def test_as_many_pairs_project_to_themselves() -> None:
    now = paired([0.01, 0.05, 0.02, 0.04], 0.975)
    assert tuple(projected(now, 0.975, 4, 0.975)) == pytest.approx(tuple(now))
    with pytest.raises(ValueError, match="no spread"):
        projected(paired([0.1], 0.95), 0.95, 5, 0.95)
