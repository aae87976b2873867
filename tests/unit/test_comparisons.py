"""A whole table of comparisons: paired by block, one floor, one correction."""

from __future__ import annotations

import math

import msgspec
import pytest

from patchbench.comparisons import Comparison, aa_logs, compare_all, floors, pairs
from patchbench.records import ArmResult, Metrics
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
    found = primary({"baseline": drift, "alba": [value / 1.2 for value in drift]})["alba"]
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
    assert (found["human"].value, found["human"].reference_value) == (
        sorted(times(1.3))[2],
        100.0,
    )


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
    found = primary({"baseline": STEADY, "human": times(1.2), "alba": times(11), "brio": times(2)})
    assert found["alba"].verdict == "suspicious"
    assert found["brio"].verdict == "suspicious"
    assert found["brio"].at_least_human is False
    assert found["human"].verdict == "faster"


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
    assert rows["alba guard output_tps"].ratio == pytest.approx(1 / 1.4, rel=0.01)


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
    assert row.p_adjusted == pytest.approx(10 * row.p)
    assert row.verdict == "inconclusive"


# --- the noise floor ------------------------------------------------------------------------------


def with_aa(commit: str, change: float) -> Metrics:
    metrics = make.measured(commit, {"baseline": STEADY, "alba": times(1.1)})
    value = STEADY[0] * (1 + change)
    aa = make.run("baseline-aa", 1, metrics={"ttft_median_ms": value})
    return msgspec.structs.replace(metrics, runs=(*metrics.runs, aa))


def test_an_aa_pair_is_two_launches_of_the_baseline_in_one_block() -> None:
    assert aa_logs(with_aa(A, 0.10).runs, "ttft_median_ms") == pytest.approx([-math.log(1.1)])
    assert aa_logs(make.measured(A, {"baseline": STEADY}).runs, "ttft_median_ms") == []


def test_noise_of_the_baseline_itself_raises_the_floor() -> None:
    quiet, noisy = compare(with_aa(A, 0.001)), compare(with_aa(A, 0.15))
    assert quiet["alba primary ttft_median_ms"].floor == 0.02
    assert quiet["alba primary ttft_median_ms"].verdict == "faster"
    assert noisy["alba primary ttft_median_ms"].floor == pytest.approx(0.15)
    assert noisy["alba primary ttft_median_ms"].verdict != "faster"


def test_floors_are_kept_apart_by_subject() -> None:
    other = make.task(B, subject=make.subject(name="other"))
    found = floors({A: make.task(A), B: other}, {A: with_aa(A, 0.15), B: with_aa(B, 0.001)}, 0.02)
    assert found == {
        ("small", "ttft_median_ms"): pytest.approx(0.15),
        ("other", "ttft_median_ms"): 0.02,
    }


def test_a_metric_with_few_aa_pairs_borrows_those_of_the_subject() -> None:
    throughput = make.task(B, primary_metric="output_tps")
    metrics = make.measured(B, {"baseline": STEADY, "alba": times(1.1)}, "output_tps")
    found = floors({A: make.task(A), B: throughput}, {A: with_aa(A, 0.15), B: metrics}, 0.02)
    assert found["small", "output_tps"] == pytest.approx(0.15)


def test_an_arm_without_the_metric_has_no_row() -> None:
    metrics = make.measured(A, {"baseline": STEADY, "alba": times(1.1)}, "output_tps")
    assert compare(metrics) == {}
    assert ArmResult(arm="alba", status="measured", blocks_measured=5) in metrics.arms
