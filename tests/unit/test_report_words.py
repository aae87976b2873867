"""Sentences follow the numbers: ranking, findings, recommendations, and the phrases they use."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from patchbench.config import Protocol
from patchbench.report import about
from patchbench.report.model import Report
from patchbench.report.text import phrases, ranking, with_words
from patchbench.verdicts.scores import Pair, mean, share
from tests.unit import make, reports
from tests.unit.reports import COMMITS, comparison, outcome, page, small_rows, task

replace = msgspec.structs.replace


@pytest.fixture(scope="module")
def report() -> Report:
    return reports.small()


def said(report: Report, **more: Any) -> str:
    """All sentences of a report in which something was changed."""
    words = with_words(replace(report, **more)).words
    return "\n".join(
        [
            *(*words.findings, *words.for_agents, *words.for_owners, *words.for_research),
            *words.recommendations,
        ]
    )


# --- phrases --------------------------------------------------------------------------------------


def test_a_share_stands_with_both_its_numbers() -> None:
    assert phrases.interval(share(18, 39)) == "18/39 = 46.2 % [31.6, 61.4]"
    assert phrases.interval(share(0, 0)) == "0/0"
    assert phrases.percent(None) == "–"


def test_half_a_tenth_is_rounded_as_the_report_that_this_one_replaces_did() -> None:
    assert phrases.percent(30 / 96) == "31.2 %"


def test_words_follow_their_number() -> None:
    assert [phrases.plural(n, "patch", "patches") for n in (0, 1, 2, 1200)] == [
        "0 patches",
        "1 patch",
        "2 patches",
        "1,200 patches",
    ]
    assert phrases.listed([]) == ""
    assert phrases.listed(["a"]) == "a"
    assert phrases.listed(["a", "b", "c"]) == "a, b and c"
    assert phrases.listed([str(n) for n in range(12)], 3) == "0, 1, 2 and 9 more"


def test_numbers_have_the_digits_that_count() -> None:
    assert [phrases.number(value) for value in (None, 0.0, 0.123456, 56.42, 999.94, 19012.61)] == [
        "–",
        "0",
        "0.1235",
        "56.42",
        "999.9",
        "19,013",
    ]
    assert [phrases.amount(size) for size in (5 << 20, 3 << 30)] == ["5 MiB", "3.0 GiB"]


# --- ranking by success, where there are no speedups ----------------------------------------------


def counts(pairs: dict[str, tuple[int, int]]) -> Report:
    """A report of counts: how many patches of each agent gave metrics, of how many."""
    names = {arm: arm.title() for arm in pairs}
    rows: reports.Rows = {"tasks": [], "outcomes": [], "patches": []}
    rows["tasks"] = [task(f"task-{place}") for place in range(40)]
    for arm, (good, whole) in pairs.items():
        for place in range(whole):
            commit = f"{arm}-{place}"
            end = "measured" if place < good else "server.crash"
            rows["outcomes"].append(outcome(commit, arm, end, blame="unknown"))
            rows["patches"].append({"commit": commit, "arm": arm, "status": "ok"})
    return reports.built(rows, kind="counts", agents=names)


def test_agents_are_ranked_only_if_their_intervals_do_not_overlap() -> None:
    clear = counts({"alba": (2, 40), "brio": (30, 40)}).words.ranking
    assert clear.startswith("Brio gave metrics more often than Alba (75.0 % against 5.0 %")
    close = counts({"alba": (10, 40), "brio": (14, 40)}).words.ranking
    assert close.startswith("The data do not support a ranking of the 2 agents")
    assert "Brio 14/40 = 35.0 %" in close


def test_of_three_agents_the_best_two_decide_about_a_ranking() -> None:
    found = counts({"alba": (0, 40), "brio": (30, 40), "corso": (29, 40)}).words.ranking
    assert found.startswith("The data do not say which agent gives metrics most often")
    assert "Brio and Corso overlap" in found


def test_a_split_that_chance_would_not_make_is_a_ranking_even_if_intervals_overlap() -> None:
    rows = counts({"alba": (10, 40), "brio": (14, 40)}).agents
    pair = Pair(
        first="brio", second="alba", commits=40, only_first=12, only_second=0, p=0.0005,
        faster_first=0, faster_second=0, faster_p=1.0, size=mean([]), size_p=1.0,
    )  # fmt: skip
    assert ranking.by_success(rows, [pair]).startswith("Brio gave metrics more often")
    pair = replace(pair, only_first=6, only_second=2, p=0.29)
    assert "6 went to one alone and 2 to the other (exact p = 0.29)" in ranking.by_success(
        rows, [pair]
    )


# --- rules ----------------------------------------------------------------------------------------


def test_what_is_charged_to_nobody_is_told_apart(report: Report) -> None:
    text = said(report)
    assert "1 patch gave no valid measurement: 1 was charged to the agents" in text
    row = report.agents[0]
    blames = {**row.blames, "agent": 0, "infra": 1}
    text = said(report, agents=(replace(row, blames=blames), *report.agents[1:]))
    assert "0 were charged to the agents, each with the line that shows it, and 1 to others" in text
    assert "(1 infra)" in text


def test_open_verdicts_ask_for_blocks_and_only_some_are_named() -> None:
    rows = small_rows()
    a = COMMITS[0]
    rows["comparisons"][1] |= {"verdict": "inconclusive", "blocks_needed": 9}
    rows["outcomes"] = [
        row | {"verdict": "inconclusive"} if row["arm"] == "alba" and row["commit"] == a else row
        for row in rows["outcomes"]
    ]
    text = said(reports.built(rows))
    assert "aaaaaaaa alba is inconclusive: about 9 blocks would decide" in text
    assert "1 verdict was left open by the noise." in text


def test_strange_gains_are_to_be_looked_at_by_a_person() -> None:
    rows = small_rows()
    rows["outcomes"][4] |= {"review": "over 2x"}
    found = reports.built(rows)
    text = said(found)
    assert "1 gain should be checked by a person" in text
    assert "Look at the gains marked for review before quoting them: aaaaaaaa alba." in text
    assert "`+` ?" in page(found)


def test_a_reference_that_was_not_reproduced_is_said() -> None:
    rows = small_rows()
    rows["tasks"] = [
        task(COMMITS[0], reference="not reproduced"),
        task(COMMITS[1], reference="reproduced"),
    ]
    found = reports.built(rows)
    text = said(found)
    assert "The human's gain was reproduced in 1 of 2 tasks compared; on the others" in text
    assert "The human's gain was not seen here for aaaaaaaa: read those rows apart." in text
    assert "(reference not reproduced)" in page(found)


def test_machine_and_harness_failures_come_with_what_to_do() -> None:
    rows = small_rows()
    rows["outcomes"][5] |= {"cause": "infra.disk_full", "blame": "infra"}
    text = said(reports.built(rows))
    assert "Disk full (1 patch, `infra.disk_full`): free space" in text
    assert "1 patch was lost through no fault of an agent." in text


def test_a_failed_baseline_is_a_task_to_be_mended() -> None:
    rows = small_rows()
    rows["outcomes"][1] = outcome(COMMITS[1], "baseline", "image.dependency", blame="task")
    text = said(reports.built(rows))
    assert "bbbbbbbb: the baseline arm failed (`image.dependency`): pin the package" in text


def test_excluded_tasks_come_with_what_would_bring_them_back() -> None:
    rows = small_rows()
    rows["tasks"] += [
        task("e" * 40, status="excluded", exclusion="parent_unresolved"),
        task("f" * 40, status="excluded", exclusion="not_a_perf_commit"),
    ]
    text = said(reports.built(rows))
    assert "1 task excluded as `parent_unresolved`: give the parent under parents:" in text
    assert "not_a_perf_commit" not in text
    assert "2 tasks of 4 can't be run here and stand outside every rate." in text


def test_a_finished_campaign_without_faults_has_nothing_to_recommend() -> None:
    rows = small_rows()
    rows["outcomes"] = [
        outcome(commit, arm, verdict="faster" if arm != "baseline" else "not measured")
        for commit in COMMITS[:2]
        for arm in ("baseline", "human", "alba", "brio")
    ]
    rows["patches"] = [row | {"status": "ok", "cause": None} for row in rows["patches"]]
    rows["comparisons"] = [
        comparison(commit, arm, 1.2) for commit in COMMITS[:2] for arm in ("human", "alba", "brio")
    ]
    found = reports.built(rows)
    assert found.words.recommendations == ("Nothing is open: every planned patch has its outcome.",)


def with_identical(*verdicts: str, **more: Any) -> Report:
    rows = small_rows()
    fields = {"role": "aa", "pairs": 5, **more}
    rows["comparisons"] += [
        reports.comparison(commit, "baseline-aa", 1.0, verdict=verdict, **fields)
        for commit, verdict in zip(COMMITS, verdicts, strict=False)
    ]
    return reports.built(rows)


def test_the_rule_is_tried_on_identical_code() -> None:
    found = with_identical("same", "inconclusive")
    assert (
        "Identical code, compared as a patch would be, came out as same on 1 of 2 tasks, "
        "inconclusive on 1 and different on 0."
    ) in said(found)
    assert "called different" not in said(found)
    row = reports.row(page(found), f"| {COMMITS[0][:8]} |", "| Commit | Metric | Pairs")
    assert (row["Pairs"], row["Verdict"]) == ("5", "same")


def test_a_rule_that_noise_has_fooled_is_not_quoted() -> None:
    found = with_identical("faster", "slower")
    assert "inconclusive on 0 and different on 2." in said(found)
    assert "Identical code was called different on aaaaaaaa and bbbbbbbb: quote nothing" in said(
        found
    )


@pytest.mark.parametrize(
    ("protocol", "needed", "text"),
    [
        (Protocol(), 8, "about 3 more A/A pairs would (`protocol.aa_blocks: 8` adds"),
        (Protocol(blocks=3, max_blocks=6, aa_blocks=5), 8, "about 3 more A/A pairs would (`"
         "protocol.aa_blocks: 9`"),
        (Protocol(aa_blocks=9), 8, "about 3 more A/A pairs would (`protocol.aa_blocks: 12`"),
        (Protocol(), 250, "it would take more A/A pairs than a task can have."),
    ],
)  # fmt: skip
def test_open_pairs_come_with_how_many_would_decide(
    protocol: Protocol, needed: int, text: str
) -> None:
    found = with_identical("same", "inconclusive", blocks_needed=needed)
    rules = about.rules_of(protocol, make.RULES)
    words = said(found, about=msgspec.structs.replace(found.about, rules=rules))
    assert "Identical code can't be called the same yet on bbbbbbbb: " + text in words


def test_pairs_at_the_margin_ask_for_nothing() -> None:
    assert "called the same yet" not in said(with_identical("inconclusive", blocks_needed=None))


def test_too_few_pairs_for_a_verdict_say_nothing_of_the_rule() -> None:
    found = with_identical("inconclusive", pairs=2)
    assert found.identical == ()
    assert "Identical code, judged" not in said(found) + page(found)


@pytest.mark.parametrize(
    ("protocol", "header", "alone"),
    [
        (Protocol(blocks=5, aa_blocks=1), "in 5 blocks each", False),
        (Protocol(blocks=3, max_blocks=5, aa_blocks=5), "in 3 to 5 blocks each", True),
        (
            Protocol(blocks=3, max_blocks=5, aa_blocks=9),
            "in 3 to 5 blocks each and 9 A/A pairs",
            True,
        ),
    ],
)
def test_pairs_beyond_the_blocks_of_arms_are_said(
    protocol: Protocol, header: str, alone: bool
) -> None:
    rules = about.rules_of(protocol, make.RULES)
    text = page(reports.built(small_rows(), rules=rules))
    assert f" tasks {header}, " in text
    assert ("alone in those that no arm needs" in text) == alone
