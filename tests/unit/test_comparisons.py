"""A whole table of comparisons: paired by block, one correction."""

from __future__ import annotations

import msgspec
import pytest

from patchbench.config import Protocol
from patchbench.records import ArmResult, Metrics
from patchbench.verdicts.comparisons import Comparison, compare_all
from patchbench.verdicts.launch_values import pairs
from patchbench.verdicts.looks import Looks
from patchbench.verdicts.statistics import Paired, spread
from tests.unit import make

A, B = "a" * 40, "b" * 40
STEADY = [100.0, 101.0, 99.0, 100.5, 99.5]


def times(factor: float, wobble: float = 0.002) -> list[float]:
    """Five blocks of times, faster than the baseline by a factor and a little noise."""
    return [
        value / factor * (1 + wobble * sign)
        for value, sign in zip(STEADY, (1, -1, 0, 1, -1), strict=True)
    ]


def compare(metrics: Metrics, rules: object = make.RULES, **task: object) -> dict[str, Comparison]:
    rows = compare_all({A: make.task(A, **task)}, {A: metrics}, ["alba", "brio"], rules)
    return {f"{row.arm} {row.role} {row.metric}": row for row in rows}


def primary(values: dict[str, list[float]], **more: object) -> dict[str, Comparison]:
    rows = compare(make.measured(A, values), **more)
    return {row.arm: row for row in rows.values() if row.role == "primary"}


def test_values_are_paired_by_block_where_both_were_measured() -> None:
    runs = [
        make.run("baseline", 1, metrics={"ttft_median_ms": 10.0}),
        make.run("baseline", 2, metrics={"ttft_median_ms": 20.0}),
        make.run("baseline", 3, cause="server.crash"),
        make.run("alba", 2, metrics={"ttft_median_ms": 2.0}),
        make.run("alba", 3, metrics={"ttft_median_ms": 3.0}),
        make.run("alba", 1, metrics={"output_tps": 5.0}),
    ]
    assert pairs(runs, "alba", "baseline", "ttft_median_ms") == ([2.0], [20.0])


def test_drift_between_blocks_cancels_out() -> None:
    drift = [100.0, 200.0, 400.0, 800.0, 1600.0]
    human, alba = ([value / gain for value in drift] for gain in (1.3, 1.2))
    found = primary({"baseline": drift, "human": human, "alba": alba})["alba"]
    assert found.ratio == pytest.approx(1.2)
    assert found.low == pytest.approx(1.2)
    assert found.verdict == "faster"


def test_a_clear_gain_a_clear_loss_and_no_change() -> None:
    found = primary(
        {"baseline": STEADY, "human": times(1.3), "alba": times(0.8), "brio": times(1.001)}
    )
    assert {arm: row.verdict for arm, row in found.items()} == {
        "human": "faster",
        "alba": "slower",
        "brio": "same",
    }
    assert found["human"].ratio == pytest.approx(1.3, rel=0.01)
    assert (found["human"].value, found["human"].reference_value) == (sorted(times(1.3))[2], 100.0)


def test_a_higher_rate_is_better() -> None:
    metrics = make.measured(A, {"baseline": STEADY, "alba": times(1.3)}, "output_tps")
    found = compare(metrics, primary_metric="output_tps")["alba primary output_tps"]
    assert found.ratio == pytest.approx(1 / 1.3, rel=0.01)
    assert found.verdict == "slower"


def test_an_arm_or_a_baseline_that_failed_is_not_compared() -> None:
    whole = make.measured(A, {"baseline": STEADY, "human": times(1.3), "alba": times(1.3)})
    arms = tuple(
        msgspec.structs.replace(arm, status="failed") if arm.arm == "alba" else arm
        for arm in whole.arms
    )
    assert {row.arm for row in compare(msgspec.structs.replace(whole, arms=arms)).values()} == {
        "human"
    }
    arms = tuple(msgspec.structs.replace(a, status="failed") for a in whole.arms[:1])
    assert compare(msgspec.structs.replace(whole, arms=(*arms, *whole.arms[1:]))) == {}


def test_too_few_blocks_give_no_verdict() -> None:
    values = {"baseline": STEADY[:2], "alba": times(1.5)[:2]}
    assert primary(values)["alba"].verdict == "inconclusive"


def test_values_that_have_no_logarithm_are_no_pairs() -> None:
    found = primary({"baseline": STEADY, "alba": [*times(1.3)[:4], 0.0]})["alba"]
    assert found.pairs == 4


def test_as_fast_as_the_human_is_said_of_faster_patches_only() -> None:
    found = primary(
        {"baseline": STEADY, "human": times(1.3), "alba": times(1.31), "brio": times(1.15)}
    )
    assert (found["alba"].verdict, found["alba"].at_least_human) == ("faster", True)
    assert (found["brio"].verdict, found["brio"].at_least_human) == ("faster", False)
    assert found["human"].at_least_human is False
    flat = primary({"baseline": STEADY, "human": times(0.999), "alba": times(1.001)})
    assert (flat["alba"].verdict, flat["alba"].at_least_human) == ("same", False)


def test_an_agent_is_compared_with_the_human_in_its_own_rows() -> None:
    rows = compare(make.measured(A, {"baseline": STEADY, "human": times(1.3), "alba": times(1.5)}))
    row = rows["alba human ttft_median_ms"]
    assert (row.reference, row.verdict) == ("human", "faster")
    assert row.ratio == pytest.approx(1.5 / 1.3, rel=0.01)


def test_a_gain_beyond_reason_is_suspicious_and_does_not_count() -> None:
    found = primary({"baseline": STEADY, "human": times(1.2), "alba": times(11)})
    assert (found["alba"].verdict, found["alba"].at_least_human) == ("suspicious", False)
    gains = [found[arm].ratio - 1 for arm in ("alba", "human")]
    assert found["alba"].review == f"{gains[0] / gains[1]:.1f} times the human's gain"
    assert found["human"].verdict == "faster"


def test_a_gain_of_many_times_the_humans_counts_but_is_marked() -> None:
    found = primary({"baseline": STEADY, "human": times(1.1), "alba": times(1.5)})
    assert (found["alba"].verdict, found["alba"].at_least_human) == ("faster", True)
    assert found["alba"].review == "5.0 times the human's gain"
    assert found["human"].review is None


def test_a_human_whose_gain_was_not_reproduced_is_no_measure() -> None:
    """Its point may lie anywhere; only a doubling is then worth a look."""
    wide = [v / f for v, f in zip(STEADY, (1.3, 0.8, 1.2, 0.9, 1.15), strict=True)]
    found = primary({"baseline": STEADY, "human": wide, "alba": times(1.5), "brio": times(2.1)})
    assert found["human"].ratio > 1.05
    assert found["human"].verdict == "inconclusive"
    assert (found["alba"].verdict, found["alba"].review) == ("faster", None)
    assert (found["brio"].verdict, found["brio"].review) == ("faster", "over 2x")


def guarded(throughput: list[float]) -> Metrics:
    """Alba halves the time to first token; its throughput is given."""
    base = make.measured(A, {"baseline": STEADY, "alba": times(1.5)})
    second = {"baseline": STEADY, "alba": throughput}
    runs = tuple(
        msgspec.structs.replace(
            run, metrics={**run.metrics, "output_tps": second[run.arm][run.block - 1]}
        )
        for run in base.runs
    )
    return msgspec.structs.replace(base, runs=runs)


def test_a_gain_with_a_loss_on_a_guard_is_a_trade_off() -> None:
    rows = compare(guarded(times(1.4)), guard_metrics=("output_tps",))
    assert rows["alba primary ttft_median_ms"].verdict == "trade-off"
    assert rows["alba guard output_tps"].verdict == "slower"
    assert rows["alba guard output_tps"].ratio == pytest.approx(1 / 1.4, rel=0.01)


def test_a_loss_within_the_guards_margin_is_no_trade_off() -> None:
    rows = compare(guarded(times(1.03)), guard_metrics=("output_tps",))
    assert (rows["alba guard output_tps"].margin, rows["alba guard output_tps"].verdict) == (
        0.1,
        "same",
    )
    assert rows["alba primary ttft_median_ms"].verdict == "faster"


def test_a_guard_that_may_lose_more_than_its_margin_is_open() -> None:
    """Not shown to lose, and not shown to hold."""
    shaky = [v * f for v, f in zip(STEADY, (1.2, 0.85, 1.0, 1.12, 0.9), strict=True)]
    rows = compare(guarded(shaky), guard_metrics=("output_tps",))
    assert rows["alba guard output_tps"].verdict == "inconclusive"
    row = rows["alba primary ttft_median_ms"]
    assert (row.verdict, row.at_least_human) == ("faster, guard open", False)
    wide = msgspec.structs.replace(make.RULES, margins={"output_tps": 0.4})
    rows = compare(guarded(shaky), wide, guard_metrics=("output_tps",))
    assert rows["alba primary ttft_median_ms"].verdict == "faster"


def test_a_guard_with_too_few_blocks_is_open() -> None:
    found = guarded(times(1.0))
    runs = tuple(
        msgspec.structs.replace(run, metrics={"ttft_median_ms": run.metrics["ttft_median_ms"]})
        if run.block > 2
        else run
        for run in found.runs
    )
    rows = compare(msgspec.structs.replace(found, runs=runs), guard_metrics=("output_tps",))
    assert rows["alba primary ttft_median_ms"].verdict == "faster, guard open"


def test_a_guard_that_holds_or_is_not_asked_for_costs_nothing() -> None:
    for guards, throughput in ((("output_tps",), times(1.0)), ((), times(1.4))):
        rows = compare(guarded(throughput), guard_metrics=guards)
        assert rows["alba primary ttft_median_ms"].verdict == "faster"


def test_p_values_are_adjusted_over_the_whole_table() -> None:
    """A gain that would stand alone falls among many comparisons that show nothing."""
    shaky = [v / f for v, f in zip(STEADY, (1.03, 1.10, 1.05, 1.12, 1.06), strict=True)]
    alone = primary({"baseline": STEADY, "alba": shaky})["alba"]
    assert alone.verdict == "faster"
    tasks, metrics = {A: make.task(A)}, {A: make.measured(A, {"baseline": STEADY, "alba": shaky})}
    for index in range(9):
        commit = f"{index}" * 40
        tasks[commit] = make.task(commit)
        flat = [v * f for v, f in zip(STEADY, (1.01, 0.99, 1.002, 0.98, 1.02), strict=True)]
        metrics[commit] = make.measured(commit, {"baseline": STEADY, "alba": flat})
    rows = compare_all(tasks, metrics, ["alba"], make.RULES)
    row = next(r for r in rows if r.commit == A)
    assert row.p == alone.p
    assert row.p_adjusted == pytest.approx(10 * alone.p_adjusted)
    assert row.verdict == "inconclusive"


def test_a_gain_among_many_comparisons_has_the_interval_of_a_selected_one() -> None:
    alone = primary({"baseline": STEADY, "alba": times(1.3)})["alba"]
    assert alone.selected_low == pytest.approx(alone.low)
    beside = primary(
        {"baseline": STEADY, "human": times(1.0), "alba": times(1.3), "brio": times(1.0)}
    )
    chosen = beside["alba"]
    assert chosen.selected_low < chosen.low < chosen.high < chosen.selected_high
    wide = Paired(chosen.ratio, chosen.selected_low, chosen.selected_high, chosen.p, 5)
    assert spread(wide, 1 - (1 - chosen.level) / 3) == pytest.approx(
        spread(chosen.paired, chosen.level)
    )
    assert beside["brio"].selected_low is None


# --- looks ----------------------------------------------------------------------------------------


def test_where_blocks_may_be_added_the_interval_is_stricter() -> None:
    values = {"baseline": STEADY, "alba": times(1.3, wobble=0.01)}
    once = primary(values)["alba"]
    more = primary(values, protocol=Protocol(blocks=5, max_blocks=10))["alba"]
    assert (once.level, once.blocks) == (pytest.approx(0.955), 5)
    assert more.level == pytest.approx(Looks(5, 10).level(5))
    assert (once.ratio, once.p) == (more.ratio, more.p)
    assert more.low < once.low
    assert more.p_adjusted > once.p_adjusted > once.p


def test_blocks_added_after_a_look_are_held_to_the_plan_of_that_look() -> None:
    values = {"baseline": STEADY, "alba": times(1.3, wobble=0.01)}
    tasks, metrics = {A: make.task(A)}, {A: make.measured(A, values)}
    (row,) = compare_all(tasks, metrics, ["alba"], make.RULES, {A: Looks(3, 3)})
    assert row.level == pytest.approx(Looks(3, 3).level(5))
    assert row.level > 0.955


def test_a_failed_launch_is_part_of_the_look() -> None:
    """Else an arm that failed once would be looked at as if it stood before the first look."""
    found = make.measured(A, {"baseline": STEADY, "alba": times(1.3)})
    runs = tuple(
        make.run("alba", 5, cause="server.crash") if (r.arm, r.block) == ("alba", 5) else r
        for r in found.runs
    )
    row = compare(msgspec.structs.replace(found, runs=runs))["alba primary ttft_median_ms"]
    assert (row.pairs, row.blocks) == (4, 5)


# --- margin and spread ----------------------------------------------------------------------------


def test_a_gain_below_the_margin_is_not_called_one() -> None:
    sure = {"baseline": STEADY, "alba": times(1.015)}
    row = primary(sure)["alba"]
    assert (row.low > 1, row.margin, row.verdict) == (True, 0.02, "same")
    for name in ("margin", "margins"):
        value = 0.01 if name == "margin" else {"ttft_median_ms": 0.01}
        rules = msgspec.structs.replace(make.RULES, **{name: value})
        assert primary(sure, rules=rules)["alba"].verdict == "faster"


def test_noise_widens_the_interval_and_nothing_else() -> None:
    """Ten blocks tell in the same noise what five can't."""
    noise = (1.02, 0.99, 1.03, 0.98, 1.01)
    loud = [v / 1.03 * w for v, w in zip(STEADY, noise, strict=True)]
    row = primary({"baseline": STEADY, "alba": loud})["alba"]
    assert row.verdict == "inconclusive"
    assert row.visible > row.margin == 0.02
    assert row.blocks_needed is not None
    more = primary({"baseline": STEADY * 4, "alba": loud * 4}, protocol=Protocol(blocks=20))
    assert more["alba"].verdict == "faster"


def test_rounded_values_have_at_least_the_spread_of_their_rounding() -> None:
    """Twelve and eleven whole milliseconds in each of three blocks: a gain, but not for sure."""
    row = primary({"baseline": [12.0] * 3, "alba": [11.0] * 3})["alba"]
    assert 0 < row.p < 0.1
    assert row.low < row.ratio < row.high
    sharp = primary({"baseline": [12.001] * 3, "alba": [11.001] * 3})["alba"]
    assert sharp.p < row.p / 100


def test_identical_code_that_scatters_more_than_the_blocks_widens_their_intervals() -> None:
    metrics = make.measured(A, {"baseline": STEADY, "alba": times(1.1)})
    aa = [
        make.run("baseline-aa", block, metrics={"ttft_median_ms": STEADY[block - 1] * change})
        for block, change in enumerate((1.1, 0.9, 1.15), 1)
    ]
    before = compare(metrics)["alba primary ttft_median_ms"]
    row = compare(msgspec.structs.replace(metrics, runs=(*metrics.runs, *aa)))
    row = row["alba primary ttft_median_ms"]
    assert (before.scatter, before.widened) == (None, 1.0)
    assert row.scatter_pairs == 3
    assert row.widened == row.scatter > row.scatter_bound > 1
    assert row.paired.half_width == pytest.approx(row.widened * before.paired.half_width)
    assert (before.verdict, row.verdict) == ("faster", "inconclusive")


def test_an_arm_without_the_metric_has_no_row() -> None:
    metrics = make.measured(A, {"baseline": STEADY, "alba": times(1.1)}, "output_tps")
    assert compare(metrics) == {}
    assert ArmResult(arm="alba", status="measured", blocks_measured=5) in metrics.arms
