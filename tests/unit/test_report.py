"""The report: numbers that add up, words that the numbers carry."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patchbench import tables
from patchbench.campaign import Campaign
from patchbench.report import context, words
from patchbench.report.context import Inconsistent, assert_adds_up, share
from patchbench.report.render import cell, markdown, number, render, tidy, where
from tests.unit import synthetic


@pytest.fixture(scope="module")
def planned(tmp_path_factory: pytest.TempPathFactory) -> Campaign:
    """The synthetic campaign, in whose folder this module's tests run."""
    folder, before = tmp_path_factory.mktemp("synthetic"), Path.cwd()
    os.chdir(folder)
    found = synthetic.plan(folder)
    synthetic.fill(found)
    yield found
    os.chdir(before)


@pytest.fixture(scope="module")
def numbers(planned: Campaign) -> dict[str, Any]:
    return context.build(planned, tables.tables(planned))


@pytest.fixture(scope="module")
def report(planned: Campaign, numbers: dict[str, Any]) -> str:
    return markdown(numbers, "figures")


def line(report: str, start: str) -> str:
    """The one line of the report that begins like this."""
    found = [text for text in report.splitlines() if text.startswith(start)]
    assert len(found) == 1, found
    return found[0]


def cells(report: str, start: str) -> list[str]:
    return [part.strip() for part in re.split(r"(?<!\\)\|", line(report, start))[1:-1]]


def row(report: str, start: str) -> dict[str, str]:
    """The cells of a table's row by the heads of their columns."""
    lines = report.splitlines()
    at = lines.index(line(report, start))
    head = max(i for i in range(at) if lines[i + 1].startswith("|---") and lines[i].startswith("|"))
    names = [part.strip() for part in lines[head].split("|")[1:-1]]
    return dict(zip(names, cells(report, start), strict=True))


# --- numbers --------------------------------------------------------------------------------------


def test_tasks_are_counted_with_what_is_pending_and_excluded(numbers) -> None:
    assert numbers["counts"] == {"tasks": 4, "planned": 3, "excluded": 1, "pending": 4}


def test_each_agents_row_adds_up(numbers) -> None:
    rows = {agent["arm"]: agent for agent in numbers["agents"]}
    names = ("planned", "delivered", "missing", "pending", "measured", "failed", "charged")
    assert {arm: tuple(found[n] for n in names) for arm, found in rows.items()} == {
        "alba": (3, 2, 0, 1, 1, 1, 1),
        "brio": (3, 1, 1, 1, 1, 0, 0),
    }
    assert (rows["alba"]["success"]["part"], rows["alba"]["success"]["whole"]) == (1, 2)
    assert (rows["alba"]["faster"]["part"], rows["alba"]["human"]["part"]) == (1, 1)
    assert (rows["brio"]["faster"]["part"], rows["brio"]["verdicts"]["same"]) == (0, 1)
    assert {kind: count for kind, count in rows["alba"]["types"].items() if count} == {"serving": 1}
    assert numbers["human"]["geomean"] == pytest.approx((1.3 * 0.999) ** 0.5, rel=1e-3)


def test_a_patch_that_never_came_is_no_failure_of_an_agent(numbers) -> None:
    totals = {found["arm"]: found for found in numbers["failures"]}
    assert totals["brio"]["total"] == 0
    assert totals["alba"]["blames"]["agent"] == 1
    assert [found["missing"] for found in numbers["coverage"]] == [[], [synthetic.B]]


@pytest.mark.parametrize(
    "wrong",
    [
        {"planned": 4},
        {"measured": 2},
        {"missing": 1},
        {"types": {"serving": 0, "latency": 0, "throughput": 0}},
        {"verdicts": {"faster": 1, "same": 1}},
    ],
    ids=lambda wrong: ", ".join(wrong),
)
def test_a_row_that_does_not_add_up_is_refused(numbers, wrong: dict[str, Any]) -> None:
    alba = numbers["agents"][0]
    assert_adds_up(alba)
    with pytest.raises(Inconsistent, match="alba"):
        assert_adds_up({**alba, **wrong})


def test_no_report_is_made_of_rows_that_do_not_add_up(
    planned: Campaign, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = context.agent_row
    monkeypatch.setattr(context, "agent_row", lambda *args: {**real(*args), "missing": 5})
    with pytest.raises(Inconsistent):
        context.build(planned, tables.tables(planned))


def test_infrastructure_counts_launches_once(numbers) -> None:
    found = numbers["infrastructure"]
    assert (found["launches"], found["not_launched"]) == (20 + 1 + 10 + 5, 5)
    assert found["measure_seconds"] == pytest.approx(5.0 * 36)
    assert (found["hosts"], found["load"]) == (["here"], 0.5)
    assert (found["images"], found["build_seconds"]) == (8, 16.0)


def test_aa_pairs_are_on_the_primary_metric(numbers) -> None:
    (pair,) = numbers["aa"]
    assert (pair["commit"], pair["block"], pair["metric"]) == (synthetic.A, 1, "ttft_median_ms")
    assert pair["ratio"] == pytest.approx(1.01)


def test_a_campaign_without_any_record_has_a_report_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    empty = synthetic.plan(tmp_path)
    text = markdown(context.build(empty, tables.tables(empty)), "figures")
    assert "> **PARTIAL:** 16 outcomes are still pending." in text
    alba = row(text, "| **Alba**")
    assert (alba["Tasks"], alba["Patches"], alba["Measured"]) == ("4", "0", "0")
    assert (alba["Success rate"], alba["Faster"]) == ("0/0", "0/0")


# --- the page -------------------------------------------------------------------------------------


def test_a_partial_report_says_so_at_its_top(report: str) -> None:
    assert "> **PARTIAL:** 4 outcomes are still pending." in report
    assert report.index("PARTIAL") < report.index("## Executive summary")


def test_a_finished_report_has_no_such_banner(numbers) -> None:
    done = {**numbers, "counts": {**numbers["counts"], "pending": 0}}
    assert "PARTIAL" not in markdown(done, "figures")


def test_the_executive_table_has_the_right_counts(report: str) -> None:
    half = "1/2 = 50.0 % [9.5, 90.5]"
    assert row(report, "| **Alba**") == {
        "Agent": "**Alba**",
        "Tasks": "3",
        "Patches": "2",
        "Judged": "2",
        "Measured": "1",
        "Success rate": half,
        "Faster": half,
        "As fast as the human": half,
        "Serving": "1",
        "Latency": "0",
        "Throughput": "0",
    }
    brio = row(report, "| **Brio**")
    assert (brio["Tasks"], brio["Patches"], brio["Measured"]) == ("3", "1", "1")
    assert brio["Success rate"] == "1/1 = 100.0 % [20.7, 100.0]"
    assert brio["Faster"] == "0/1 = 0.0 % [0.0, 79.3]"


def test_the_speedup_table_has_a_row_per_planned_task(report: str) -> None:
    titles = ("aaaaaaaa Reuse", "bbbbbbbb Batch", "cccccccc Chunk")
    a, b, c = (row(report, f"| {title}") for title in titles)
    assert (a["Metric"], a["Baseline"]) == ("`ttft_median_ms`", "100 ms")
    assert re.fullmatch(r"1\.30x \[1\.\d\d, 1\.\d\d\] `\+`", a["Human"])
    assert re.fullmatch(r"1\.40x \[1\.\d\d, 1\.\d\d\] `\+` > human", a["Alba"])
    assert re.fullmatch(r"1\.00x \[\d\.\d\d, 1\.\d\d\] `=`", a["Brio"])
    assert b["Commit"] == "bbbbbbbb Batch \\| decode"
    assert (b["Alba"], b["Brio"]) == ("`server.crash`", "`patch.missing`")
    assert {c["Human"], c["Alba"], c["Brio"]} == {"pending"}
    speedups = report[report.index("## Speedups") : report.index("## Infrastructure")]
    assert "dddddddd" not in speedups


def test_the_failure_is_shown_with_its_line_and_file(report: str) -> None:
    found = row(report, "| `server.crash`")
    assert (found["Blame"], found["Stage"], found["Count"]) == ("agent", "server_start", "1")
    assert found["% of failures"] == "100.0 %"
    evidence = found["Evidence (one example)"]
    assert "IndexError: list index out of range \\| at &lt;core>" in evidence
    assert "server.stderr:42`" in evidence


def test_excluded_tasks_stand_with_their_reason(report: str) -> None:
    assert cells(report, "| dddddddd") == [
        "dddddddd Split the model",
        "`needs_gpus:8`",
        "asks for 8",
    ]


def test_every_table_has_as_many_cells_in_each_row_as_in_its_head(report: str) -> None:
    table: list[str] = []
    seen = 0
    for text in [*report.splitlines(), ""]:
        if text.startswith("|"):
            table.append(text)
            continue
        widths = {len(re.split(r"(?<!\\)\|", text)) for text in table}
        assert len(widths) <= 1, table
        seen += bool(table)
        table = []
    assert seen >= 9


def test_recommendations_name_what_is_open(report: str) -> None:
    part = report[report.index("## Recommendations") : report.index("## Methods")]
    assert "4 outcomes pending: run the same command again" in part
    assert "Have Brio run on bbbbbbbb." in part


def test_findings_and_meaning_say_what_the_numbers_say(report: str) -> None:
    assert "Of 3 patches delivered, 1 made the engine faster beyond noise, and 1 of these" in report
    assert "The human's gain was reproduced in 1 of 2 tasks compared." in report
    assert "The data do not support a ranking of the agents" in report
    assert "The human's gain was not seen here for bbbbbbbb" in report


def test_rendering_writes_the_page_and_its_figures(planned: Campaign, tmp_path: Path) -> None:
    for name, table in tables.tables(planned).items():
        tables.write(table, tmp_path / "tables" / f"{name}.parquet")
    render(planned, tmp_path / "tables", tmp_path / "report.md", tmp_path / "figures")
    text = (tmp_path / "report.md").read_text(encoding="utf-8")
    linked = re.findall(r"\]\((figures/[^)]+)\)", text)
    assert linked
    for name in linked:
        assert (tmp_path / name).stat().st_size > 1000
    assert "> **PARTIAL:** 4 outcomes" in text


# --- words and cells ------------------------------------------------------------------------------


def test_lines_lose_trailing_blanks_and_blank_lines_stand_alone() -> None:
    assert tidy("\n\n# a  \n\n\n\nb\t\n \n\nc") == "# a\n\nb\n\nc\n"


@given(st.text(st.sampled_from("a |\n\t#")))
def test_tidying_again_changes_nothing_and_loses_no_word(text: str) -> None:
    once = tidy(text)
    assert tidy(once) == once
    assert once.split() == text.split()
    assert "\n\n\n" not in once


def test_a_cell_can_not_break_its_table() -> None:
    assert cell("a | b\n<script>\r\n c") == "a \\| b &lt;script> c"
    assert cell(None) == "–"
    assert cell("") == "–"


def test_a_long_cell_is_cut_where_it_says_so() -> None:
    assert cell("x" * 300, 10) == "x" * 9 + "…"
    assert cell("x" * 10, 10) == "x" * 10


@given(st.text(max_size=300), st.integers(2, 50))
def test_a_cell_is_always_one_line_of_bounded_width(text: str, width: int) -> None:
    found = cell(text, width)
    assert len(found.splitlines()) <= 1
    assert not re.search(r"(?<!\\)\|", found)
    assert len(found.replace("\\|", "|").replace("&lt;", "<")) <= max(width, 1)


def test_numbers_have_the_digits_that_count() -> None:
    assert [number(value) for value in (None, 0.0, 0.123456, 56.42, 999.94, 19012.61)] == [
        "–",
        "0",
        "0.1235",
        "56.42",
        "999.9",
        "19,013",
    ]


def test_the_place_of_evidence_is_a_file_and_a_line() -> None:
    assert where({"evidence_file": "a.log", "evidence_line": 7.0}) == " (`a.log:7`)"
    assert where({"evidence_file": "a.log", "evidence_line": None}) == " (`a.log`)"
    assert where({"evidence_file": None}) == ""


def agent(title: str, part: int, whole: int) -> dict[str, Any]:
    return {"title": title, "faster": share(part, whole)}


def test_agents_are_ranked_only_if_their_intervals_do_not_overlap() -> None:
    clear = words.ranking([agent("Alba", 2, 40), agent("Brio", 30, 40)])
    assert clear.startswith("Brio made more commits faster than Alba (75.0 % against 5.0 %")
    close = words.ranking([agent("Alba", 10, 40), agent("Brio", 14, 40)])
    assert close.startswith("The data do not support a ranking")
    assert "Brio 14/40 = 35.0 %" in close


def test_of_three_agents_the_best_two_decide_about_a_ranking() -> None:
    order = [agent("Alba", 0, 40), agent("Brio", 30, 40), agent("Corso", 29, 40)]
    assert words.ranking(order).startswith("The data do not support a ranking")


def test_agents_without_any_patch_are_not_ranked() -> None:
    text = words.ranking([agent("Alba", 0, 0), agent("Brio", 0, 0)])
    assert text.startswith("The data do not support a ranking")


def test_a_share_stands_with_both_its_numbers() -> None:
    assert words.interval(share(18, 39)) == "18/39 = 46.2 % [31.6, 61.4]"
    assert words.interval(share(0, 0)) == "0/0"
    assert words.percent(None) == "–"
    assert [words.plural(n, "patch", "patches") for n in (0, 1, 2)] == [
        "0 patches",
        "1 patch",
        "2 patches",
    ]
