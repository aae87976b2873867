"""Which agent is better, in words that the numbers carry."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from patchbench.report.model import AgentRow
from patchbench.report.text.ranking import by_speedups, enough_to_tell, is_better, seen_from
from tests.unit.test_scores import compared_pairs, comparison, outcome, score


def said(**faster: str) -> str:
    """The paragraph for agents given as strings: + faster, . same, per commit."""
    ratio = {"+": 1.3, ".": 1.0}
    verdict = {"+": "faster", ".": "same"}
    rows, compared = [], []
    for shift, (agent, marks) in enumerate(faster.items()):
        for at, mark in enumerate(marks):
            rows.append(outcome(str(at), agent, verdict[mark]))
            value = ratio[mark] * (1 + (at + 1) * (shift + 1) / 10_000)
            compared.append(comparison(str(at), agent, value, verdict[mark]))
    agents = list(faster)
    scores = [titled(score(agent, rows, compared)) for agent in agents]
    return by_speedups(scores, compared_pairs(agents, rows, compared))


def titled(row: AgentRow) -> AgentRow:
    return msgspec.structs.replace(row, title=row.arm.title())


def test_a_clear_winner_is_named_with_its_evidence() -> None:
    text = said(alba="+" * 13 + "." * 3 + "+" * 4, brio="." * 13 + "+" * 7)
    assert text.startswith("Alba is better than Brio at making commits faster.")
    assert "Of the 20 commits that count for both, Alba alone made 13 faster" in text
    assert "Brio alone 3" in text
    assert "2.1 % of such comparisons (p = 0.021)" in text
    assert "Alba's patches are 1.1" in text


def test_the_order_in_which_agents_are_named_does_not_matter() -> None:
    first = said(alba="+" * 12, brio="." * 12)
    second = said(brio="." * 12, alba="+" * 12)
    assert first.split(" (p")[0] == second.split(" (p")[0]


def test_what_chance_explains_is_no_ranking() -> None:
    text = said(alba="+" * 8 + "." * 6, brio="." * 8 + "+" * 6)
    assert text.startswith("These data do not say which agent is better.")
    assert "chance would split them so unevenly in 79 % of such comparisons" in text


def test_an_even_split_is_what_chance_does() -> None:
    assert "in 100 % of such comparisons (p = 1.00)" in said(
        alba="+" * 6 + "." * 6, brio="." * 6 + "+" * 6
    )


def test_too_few_commits_are_said_to_be_too_few() -> None:
    text = said(alba="+++", brio="...")
    assert text.startswith("These data do not say which agent is better.")
    assert "at least 6 would be needed, even if all spoke for one agent" in text


def test_a_winner_over_some_is_not_the_winner_over_all() -> None:
    text = said(alba="+" * 12, brio="+" * 11 + ".", corso="." * 12)
    start = "Alba is better than Corso; whether it is better than Brio these data do not say."
    assert text.startswith(start)
    assert text.endswith("All p are exact and adjusted for 3 pairs of agents (Holm).")


def test_agents_that_agree_everywhere_are_not_told_apart() -> None:
    assert "nothing tells them apart" in said(alba="+.", brio="+.")


def test_nothing_to_rank() -> None:
    assert said(alba="+") == "There is only one agent, so there is nothing to rank."
    assert "No agent made any commit faster" in said(alba="..", brio="..")
    assert by_speedups([], []) == ""


@pytest.mark.parametrize(("pairs", "fewest"), [(1, 6), (2, 7), (3, 7), (6, 8)])
def test_how_many_commits_it_takes_at_least(pairs: int, fewest: int) -> None:
    assert enough_to_tell(pairs) == fewest


marks = st.lists(st.sampled_from("+."), min_size=1, max_size=20).map("".join)


@settings(max_examples=20)
@given(st.tuples(marks, marks).map(lambda pair: [m[: min(map(len, pair))] for m in pair]))
def test_a_winner_is_only_named_where_the_test_is_passed(both: list[str]) -> None:
    rows: list[dict[str, Any]] = [
        outcome(str(at), agent, {"+": "faster", ".": "same"}[mark])
        for agent, line in zip(("alba", "brio"), both, strict=True)
        for at, mark in enumerate(line)
    ]
    (pair,) = compared_pairs(["alba", "brio"], rows, [])
    text = by_speedups([titled(score(agent, rows, [])) for agent in ("alba", "brio")], [pair])
    assert ("is better than" in text) == (pair.faster_p < 0.05)
    assert is_better(pair) == ("Alba is better" in text)
    assert seen_from("brio", pair).faster_first == pair.faster_second
