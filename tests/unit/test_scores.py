"""Rates, means and pairs of agents, counted from the tables."""

from __future__ import annotations

from typing import Any

import pytest

from patchbench.report import read_tables
from patchbench.report.counts.agents import agent_row
from patchbench.report.model import AgentRow
from patchbench.report.tables import collect
from patchbench.verdicts.scores import Pair, counts_for_rate, mean, pairs, with_ratios
from tests.unit import reports, synthetic

Row = dict[str, Any]


def score(arm: str, outcomes: list[Row], comparisons: list[Row]) -> AgentRow:
    """An arm's line of the report."""
    found = read_tables.of(reports.tables({"outcomes": outcomes, "comparisons": comparisons}))
    scored = with_ratios(found.outcomes, found.comparisons)
    compared = found.comparisons[found.comparisons["verdict"] == "faster"]
    reproduced = set(compared.loc[compared["arm"] == "human", "commit"])
    return agent_row(reports.about(), arm, scored[scored["arm"] == arm], reproduced)


def compared_pairs(agents: list[str], outcomes: list[Row], comparisons: list[Row]) -> list[Pair]:
    found = read_tables.of(reports.tables({"outcomes": outcomes, "comparisons": comparisons}))
    return list(pairs(agents, with_ratios(found.outcomes, found.comparisons)))


def outcome(commit: str, arm: str, verdict: str = "same", **more: Any) -> Row:
    return {"commit": commit, "arm": arm, "status": "measured", "verdict": verdict, **more}


def failed(commit: str, arm: str, cause: str, blame: str) -> Row:
    return outcome(commit, arm, "not measured", status="failed", cause=cause, blame=blame)


def comparison(commit: str, arm: str, ratio: float, verdict: str, role: str = "primary") -> Row:
    return {"commit": commit, "arm": arm, "role": role, "ratio": ratio, "verdict": verdict}


OUTCOMES = [
    outcome("a", "alba", "faster", at_least_human=True),
    outcome("b", "alba", "suspicious", review="over 2x"),
    outcome("c", "alba", "slower"),
    failed("d", "alba", "server.crash", "agent"),
    failed("e", "alba", "patch.missing", "agent"),
    failed("f", "alba", "infra.disk_full", "infra"),
    outcome("g", "alba", "not measured", status="pending"),
    outcome("h", "alba", "not measured", status="excluded"),
    failed("i", "alba", "bench.wrong_output", "agent") | {"verdict": "wrong output"},
]
COMPARISONS = [
    comparison("a", "alba", 1.5, "faster"),
    comparison("a", "human", 1.4, "faster"),
    comparison("a", "alba", 1.07, "faster", role="human"),
    comparison("b", "alba", 20.0, "suspicious"),
    comparison("c", "alba", 0.8, "slower"),
    comparison("c", "human", 1.0, "same"),
]


def test_what_says_something_about_the_agent_counts_for_its_rates() -> None:
    found = read_tables.of(reports.tables({"outcomes": OUTCOMES})).outcomes
    assert list(found.loc[counts_for_rate(found), "commit"]) == ["a", "b", "c", "d", "i"]


def test_three_rates_over_the_patches_that_count() -> None:
    found = score("alba", OUTCOMES, COMPARISONS)
    assert (found.success.part, found.success.whole) == (3, 5)
    assert (found.faster.part, found.faster.whole) == (1, 5)
    assert (found.human.part, found.human.whole) == (1, 5)
    assert found.faster.share == pytest.approx(0.2)
    assert 0 < found.faster.low < 0.2 < found.faster.high < 1


def test_the_human_is_matched_apart_where_its_gain_was_seen() -> None:
    found = score("alba", OUTCOMES, COMPARISONS)
    assert (found.human_reproduced.part, found.human_reproduced.whole) == (1, 1)


def test_a_mean_over_what_was_measured_leaves_out_what_does_not_count() -> None:
    found = score("alba", OUTCOMES, COMPARISONS).measured_only
    assert (found.ratio, found.commits) == (pytest.approx((1.5 * 0.8) ** 0.5), 2)
    assert found.low <= found.ratio <= found.high


def test_a_mean_over_all_planned_counts_failures_as_no_change() -> None:
    """Suspicious, crashed, missing and wrong are 1.00x; excluded, pending and what others broke
    stand outside."""
    found = score("alba", OUTCOMES, COMPARISONS).all_planned
    assert (found.ratio, found.commits) == (pytest.approx((1.5 * 0.8) ** (1 / 6)), 6)


def test_an_agent_without_any_patch_has_rates_of_nothing() -> None:
    found = score("brio", OUTCOMES, COMPARISONS)
    assert (found.success.whole, found.success.share) == (0, None)
    assert found.measured_only == mean([])
    assert (mean([]).ratio, mean([]).commits) == (None, 0)


def test_thirty_commits_make_an_interval_that_is_not_rough() -> None:
    assert mean([1.1] * 29).rough
    assert not mean([1.1] * 30).rough


def pair_of(first: list[str], second: list[str], ratios: tuple[float, float] = (1.2, 1.1)) -> Pair:
    rows: list[Row] = []
    compared: list[Row] = []
    for at, verdicts in enumerate(zip(first, second, strict=True)):
        for arm, verdict, ratio in zip(("alba", "brio"), verdicts, ratios, strict=True):
            commit = f"{at:02}"
            if verdict == "crash":
                rows.append(failed(commit, arm, "server.crash", "agent"))
            elif verdict == "broken":
                rows.append(failed(commit, arm, "infra.disk_full", "infra"))
            else:
                rows.append(outcome(commit, arm, verdict))
                compared.append(comparison(commit, arm, ratio * (1 + at / 1000), verdict))
    return compared_pairs(["alba", "brio"], rows, compared)[0]


def test_a_pair_counts_the_commits_that_tell_two_agents_apart() -> None:
    found = pair_of(["faster"] * 13 + ["same"] * 3, ["same"] * 13 + ["faster"] * 3)
    assert (found.faster_first, found.faster_second) == (13, 3)
    assert round(found.faster_p, 3) == 0.021
    assert (found.only_first, found.only_second, found.p) == (0, 0, 1.0)


def test_a_pair_is_compared_on_commits_that_count_for_both() -> None:
    found = pair_of(["faster", "faster", "same", "crash"], ["crash", "broken", "same", "faster"])
    assert found.commits == 3
    assert (found.only_first, found.only_second) == (1, 1)
    assert found.size.commits == 1


def test_sizes_are_compared_where_both_were_measured() -> None:
    found = pair_of(["faster"] * 10, ["faster"] * 10)
    assert found.size.ratio == pytest.approx(1.2 / 1.1)
    assert found.size_p == pytest.approx(2 / 2**10)


def test_several_pairs_pay_for_their_number() -> None:
    rows = [
        outcome(str(at), arm, "faster" if arm == "alba" else "same")
        for at in range(7)
        for arm in ("alba", "brio", "corso")
    ]
    found = compared_pairs(["alba", "brio", "corso"], rows, [])
    assert [pair.faster_p for pair in found] == pytest.approx([3 * 2 / 2**7, 3 * 2 / 2**7, 1.0])


def test_scores_come_from_the_tables_of_a_campaign(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    planned = synthetic.plan(tmp_path)
    synthetic.fill(planned)
    found = {name: table.to_pylist() for name, table in collect.tables(planned).items()}
    alba = score("alba", found["outcomes"], found["comparisons"])
    assert (alba.success.part, alba.success.whole, alba.faster.part) == (1, 2, 1)
    assert alba.measured_only.ratio == pytest.approx(1.4, rel=1e-2)
    assert alba.all_planned.ratio == pytest.approx(1.4**0.5, rel=1e-2)
    (pair,) = compared_pairs(["alba", "brio"], found["outcomes"], found["comparisons"])
    assert (pair.commits, pair.faster_first, pair.faster_second) == (1, 1, 0)
