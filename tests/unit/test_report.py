"""The report of a campaign in the middle of its way: numbers that add up, words they carry."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from patchbench.errors import BadInput
from patchbench.plan.campaign import Campaign
from patchbench.report import about, read_tables, render
from patchbench.report.build import build
from patchbench.report.model import Report
from patchbench.report.tables import collect
from tests.unit import synthetic
from tests.unit.reports import line, page, row


@pytest.fixture(scope="module")
def planned(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Campaign]:
    """The synthetic campaign, in whose folder this module's tests run."""
    folder, before = tmp_path_factory.mktemp("synthetic"), Path.cwd()
    os.chdir(folder)
    found = synthetic.plan(folder)
    synthetic.fill(found)
    yield found
    os.chdir(before)


def numbers_of(campaign: Campaign) -> Report:
    return build(about.of(campaign), read_tables.of(collect.tables(campaign)))


@pytest.fixture(scope="module")
def numbers(planned: Campaign) -> Report:
    return numbers_of(planned)


@pytest.fixture(scope="module")
def report(numbers: Report) -> str:
    return page(numbers)


# --- numbers --------------------------------------------------------------------------------------


def test_tasks_are_counted_with_what_is_pending_and_excluded(numbers: Report) -> None:
    counts = numbers.counts
    assert (counts.tasks, counts.planned, counts.excluded) == (4, 3, 1)
    assert (counts.outcomes, counts.pending) == (12, 4)


def test_each_agents_row_adds_up(numbers: Report) -> None:
    rows = {agent.arm: agent for agent in numbers.agents}
    alba, brio = rows["alba"], rows["brio"]
    assert (alba.planned, alba.delivered, alba.missing, alba.pending) == (3, 2, 0, 1)
    assert (alba.measured, alba.failed, alba.blames["agent"]) == (1, 1, 1)
    assert (brio.planned, brio.delivered, brio.missing, brio.pending) == (3, 1, 1, 1)
    assert (brio.measured, brio.failed) == (1, 0)
    assert (alba.success.part, alba.success.whole) == (1, 2)
    assert (alba.faster.part, alba.human.part) == (1, 1)
    assert (brio.faster.part, brio.verdicts["same"]) == (0, 1)
    assert {kind: count for kind, count in alba.types.items() if count} == {"serving": 1}
    assert numbers.human is not None
    assert numbers.human.measured_only.ratio == pytest.approx((1.3 * 0.999) ** 0.5, rel=1e-3)


def test_a_patch_that_never_came_is_no_failure_of_an_agent(numbers: Report) -> None:
    totals = {found.arm: found for found in numbers.failures}
    assert totals["brio"].total == 0
    assert totals["alba"].blames["agent"] == 1
    assert [found.missing_commits for found in numbers.coverage] == [(), (synthetic.B,)]


def test_infrastructure_counts_launches_once(numbers: Report) -> None:
    found = numbers.machine
    assert (found.launches, found.not_launched) == (20 + 1 + 10 + 5, 5)
    assert found.launch_seconds == pytest.approx(5.0 * 36)
    assert (found.hosts, found.load) == (("here",), 0.5)
    assert (found.images, found.build_seconds) == (8, 16.0)


def test_aa_pairs_are_on_the_primary_metric(numbers: Report) -> None:
    (pair,) = numbers.aa
    assert (pair.commit, pair.block, pair.metric) == (synthetic.A, 1, "ttft_median_ms")
    assert pair.ratio == pytest.approx(1.01)


def test_a_campaign_without_any_record_has_a_report_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    text = page(numbers_of(synthetic.plan(tmp_path)))
    assert "> **PARTIAL:** 16 outcomes of 16 still pending (Alba 4 and Brio 4)." in text
    alba = row(text, "| **Alba**", "| Agent | Tasks | Patches")
    assert (alba["Tasks"], alba["Patches"], alba["Measured"]) == ("4", "0", "0")
    assert (alba["Ran to valid metrics"], alba["Faster"]) == ("0/0", "0/0")


# --- the page -------------------------------------------------------------------------------------


def test_a_partial_report_says_so_at_its_top_with_counts(report: str) -> None:
    assert "> **PARTIAL:** 4 outcomes of 12 still pending (Alba 1 and Brio 1)." in report
    assert report.index("PARTIAL") < report.index("## Executive summary")


def test_the_executive_table_has_the_right_counts(report: str) -> None:
    half = "1/2 = 50.0 % [9.5, 90.5]"
    assert row(report, "| **Alba**", "| Agent | Tasks | Patches") == {
        "Agent": "**Alba**", "Tasks": "3", "Patches": "2", "Measured": "1",
        "Ran to valid metrics": half,
        "Faster": half, "At least as fast as the human": half,
        "Serving": "1", "Latency": "0", "Throughput": "0",
    }  # fmt: skip
    brio = row(report, "| **Brio**", "| Agent | Tasks | Patches")
    assert brio["Ran to valid metrics"] == "1/1 = 100.0 % [20.7, 100.0]"
    assert brio["Faster"] == "0/1 = 0.0 % [0.0, 79.3]"


def test_the_table_of_closure_says_where_every_planned_patch_went(report: str) -> None:
    alba = row(report, "| **Alba**", "| Agent | Planned")
    assert alba == {
        "Agent": "**Alba**", "Planned": "3", "Measured": "1", "Failed: agent": "1",
        "Failed: task": "0", "Failed: infra": "0", "Failed: harness": "0", "Failed: unknown": "0",
        "No patch": "0", "Pending": "1",
    }  # fmt: skip


def test_the_speedup_table_has_a_row_per_planned_task(report: str) -> None:
    titles = ("aaaaaaaa Reuse", "bbbbbbbb Batch", "cccccccc Chunk")
    a, b, c = (row(report, f"| {title}") for title in titles)
    assert (a["Metric"], a["Baseline"]) == ("`ttft_median_ms`", "100 ms")
    assert re.fullmatch(r"1\.30x \[1\.\d\d, 1\.\d\d\] `\+`", a["Human"])
    assert re.fullmatch(r"1\.40x \[1\.\d\d, 1\.\d\d\] `\+` > human", a["Alba"])
    assert re.fullmatch(r"1\.00x \[\d\.\d\d, 1\.\d\d\] `=`", a["Brio"])
    assert b["Commit"].startswith("bbbbbbbb Batch \\| decode")
    assert (b["Alba"], b["Brio"]) == ("`server.crash`", "no patch")
    assert {c["Human"], c["Alba"], c["Brio"]} == {"pending"}
    speedups = report[report.index("## Speedups") : report.index("## Infrastructure")]
    assert "dddddddd" not in speedups


def test_the_failure_is_shown_with_its_line_and_file(report: str) -> None:
    found = row(report, "| `server.crash`")
    assert (found["Blame"], found["Stage"], found["Count"]) == ("agent", "server_start", "1")
    assert found["% of failures"] == "100.0 %"
    evidence = found["Evidence (one example)"]
    assert "`IndexError: list index out of range \\| at <core>`" in evidence
    assert evidence.endswith("server.stderr:42)")


def test_excluded_tasks_stand_with_their_reason(report: str) -> None:
    assert row(report, "| dddddddd") == {
        "Excluded commit": "dddddddd Split the model",
        "Reason": "`needs_gpus:8`",
        "Evidence": "asks for 8",
    }


def test_recommendations_name_what_is_open(report: str) -> None:
    part = report[report.index("## Recommendations") : report.index("## Methods")]
    assert "4 outcomes pending: run the same command again" in part
    assert "Run Brio on bbbbbbbb." in part


def test_findings_and_meaning_say_what_the_numbers_say(report: str) -> None:
    assert "Of 3 patches delivered, 1 made the engine faster beyond noise, and 1 of these" in report
    assert "The human's gain was reproduced in 1 of 2 tasks compared;" in report
    assert "- These data do not say which agent is better." in report
    assert "The human's gain was not seen here for bbbbbbbb" in report


def test_the_report_keeps_the_order_of_the_one_it_replaces(report: str) -> None:
    assert re.findall("^## (.*)", report, re.MULTILINE) == [
        "Executive summary", "Critical analysis", "Speedups", "Infrastructure",
        "What these results mean", "Recommendations", "Methods", "File locations",
    ]  # fmt: skip


# --- files ----------------------------------------------------------------------------------------


def written(campaign: Campaign, folder: Path) -> Path:
    for name, table in collect.tables(campaign).items():
        collect.write(table, folder / "tables" / f"{name}.parquet")
    render.render(campaign, folder / "tables", folder / "report.md", folder / "figures")
    return folder


def test_rendering_writes_the_page_and_all_that_belongs_to_it(
    planned: Campaign, tmp_path: Path
) -> None:
    folder = written(planned, tmp_path)
    text = (folder / "report.md").read_text(encoding="utf-8")
    linked = re.findall(r"\]\((figures/[^)]+)\)", text)
    assert linked
    for name in linked:
        assert (folder / name).stat().st_size > 1000
    assert "> **PARTIAL:** 4 outcomes" in text
    for name in ("report.html", "report.json", "about.json"):
        assert (folder / name).stat().st_size > 100
    assert about.read(folder) == about.of(planned)


def test_the_same_tables_give_the_same_report(planned: Campaign, tmp_path: Path) -> None:
    first, second = written(planned, tmp_path / "1"), written(planned, tmp_path / "2")
    names = [p.relative_to(first) for p in first.rglob("*") if p.is_file()]
    assert len(names) > 15
    assert [n for n in names if (first / n).read_bytes() != (second / n).read_bytes()] == []


def test_a_folder_without_tables_is_refused_with_what_to_do(
    planned: Campaign, tmp_path: Path
) -> None:
    with pytest.raises(BadInput, match=r"tasks\.parquet: no such table \| next: "):
        render.render(planned, tmp_path, tmp_path / "report.md", tmp_path / "figures")
    assert not (tmp_path / "report.md").exists()


def test_tables_without_a_key_column_are_refused(planned: Campaign, tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    folder = written(planned, tmp_path)
    path = folder / "tables" / "outcomes.parquet"
    pq.write_table(pq.read_table(path).drop_columns(["blame"]), path)
    with pytest.raises(BadInput, match=r"outcomes\.parquet: no column 'blame'"):
        read_tables.read(folder / "tables")


def test_a_campaign_says_its_name_and_day(report: str) -> None:
    assert line(report, "# ") == "# Agent comparison report: synthetic"
    assert re.fullmatch(r"\*\*Date:\*\* \w+ \d{1,2}, \d{4}\\", line(report, "**Date:**"))
