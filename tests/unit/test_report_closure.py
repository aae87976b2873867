"""Numbers that don't add up stop the report, with the two numbers that disagree."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from patchbench.errors import BadInput
from patchbench.records import BASELINE, HUMAN
from patchbench.report import render
from patchbench.report.counts import closure
from patchbench.report.model import Report
from patchbench.report.tables.collect import Inconsistent
from tests.unit import reports
from tests.unit.reports import COMMITS, outcome, task

replace = msgspec.structs.replace


@pytest.fixture(scope="module")
def report() -> Report:
    return reports.small()


def test_a_sound_report_closes(report: Report) -> None:
    closure.check(report)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"planned": 4}, r"Alba: 4 planned, but measured, failed, missing and pending sum to 2"),
        ({"measured": 2}, r"Alba: 2 planned, but .* sum to 3.*Alba: 2 measured, but types sum to"),
        ({"missing": 1}, r"Alba: 2 planned, but .* sum to 3"),
        ({"types": {"serving": 0}}, r"Alba: 1 measured, but types sum to 0"),
        ({"verdicts": {"faster": 1, "same": 1}}, r"1 measured patches, but verdicts sum to 2"),
        ({"blames": {"agent": 0}}, r"Alba: 1 failed, but blames sum to 0"),
        ({"delivered": 9}, r"Alba: 9 delivered, but measured and failed sum to 2"),
    ],
    ids=lambda value: ", ".join(value) if isinstance(value, dict) else "",
)
def test_a_row_that_does_not_add_up_names_both_numbers(
    report: Report, wrong: dict[str, Any], said: str
) -> None:
    rows = (replace(report.agents[0], **wrong), *report.agents[1:])
    with pytest.raises(Inconsistent, match=said):
        closure.check(replace(report, agents=rows))


def test_a_rate_can_not_count_more_than_there_is(report: Report) -> None:
    row = report.agents[0]
    wrong = replace(row, faster=replace(row.faster, part=3))
    with pytest.raises(Inconsistent, match="a rate of 3 of 2"):
        closure.check(replace(report, agents=(wrong, *report.agents[1:])))


def test_failures_must_sum_and_their_printed_shares_make_a_hundred(report: Report) -> None:
    first = report.failures[0]
    for wrong, said in (
        (replace(first, total=2), "2 failures, but causes sum to 1"),
        (replace(first, blames={"agent": 2}), "1 failures, but blames sum to 2"),
        (replace(first, causes=(replace(first.causes[0], share=0.9),)), "shares .* sum to 90.0 %"),
    ):
        with pytest.raises(Inconsistent, match=said):
            closure.check(replace(report, failures=(wrong, *report.failures[1:])))


def test_the_types_table_must_sum_along_both_edges(report: Report) -> None:
    first = report.types[0]
    wrong = replace(first, total=5)
    with pytest.raises(Inconsistent, match="serving: 5 in all, but agents sum to 2"):
        closure.check(replace(report, types=(wrong, *report.types[1:])))
    wrong = replace(first, agents={"alba": 0, "brio": 2})
    with pytest.raises(Inconsistent, match="Alba: 1 measured, but the types' table has 0"):
        closure.check(replace(report, types=(wrong, *report.types[1:])))


def test_coverage_must_sum(report: Report) -> None:
    wrong = replace(report.coverage[1], missing=2)
    with pytest.raises(Inconsistent, match=r"Brio: 2 planned, but coverage sums to 3.*1 are named"):
        closure.check(replace(report, coverage=(report.coverage[0], wrong)))


def test_excluded_tasks_must_be_those_that_are_listed(report: Report) -> None:
    with pytest.raises(Inconsistent, match="2 tasks, but 2 planned and 1 excluded"):
        closure.check(replace(report, counts=replace(report.counts, excluded=1)))


def test_no_patch_can_be_both_missing_and_measured() -> None:
    """The error of the report that this one replaces: three successes were in its own list of
    commits without a patch."""
    rows = reports.small_rows()
    rows["outcomes"] = [
        row
        if (row["commit"], row["arm"]) != (COMMITS[1], "brio")
        else outcome(COMMITS[1], "brio", verdict="same")
        for row in rows["outcomes"]
    ]
    with pytest.raises(Inconsistent, match="no patch, and yet an outcome: bbbbbbbb brio"):
        reports.built(rows)


def test_every_agent_has_one_outcome_for_each_planned_task() -> None:
    rows = reports.small_rows()
    rows["outcomes"] = rows["outcomes"][:-1]
    with pytest.raises(Inconsistent, match="brio: 2 tasks planned, 1 outcomes"):
        reports.built(rows)


def test_nothing_is_written_when_the_tables_contradict_themselves(tmp_path: Path) -> None:
    rows = reports.small_rows()
    rows["outcomes"].append(outcome(COMMITS[0], "alba", verdict="same"))
    folder = reports.write(rows, tmp_path / "tables")
    with pytest.raises(BadInput, match=r"contradict .*: two outcomes of one patch: aaaaaaaa alba"):
        render.write(reports.about(), folder, tmp_path / "report.md", tmp_path / "figures")
    assert not list(tmp_path.glob("report.*"))


# --- whatever happens, it closes ------------------------------------------------------------------

ENDS = st.sampled_from(
    [
        *("measured", "pending", "patch.missing", "patch.empty", "server.crash", "infra.gpu"),
        *("unknown", "bench.wrong_output"),
    ]
)
BLAME = {"infra.gpu": "infra", "unknown": "unknown"}


@settings(max_examples=20)
@given(st.lists(st.tuples(ENDS, ENDS), min_size=1, max_size=6), st.integers(0, 2))
def test_every_set_of_outcomes_closes(ends: list[tuple[str, str]], excluded: int) -> None:
    rows: reports.Rows = {"tasks": [], "outcomes": [], "patches": []}
    for commit, pair in zip(COMMITS, ends, strict=False):
        rows["tasks"].append(task(commit))
        for arm, end in zip(("alba", "brio"), pair, strict=True):
            rows["outcomes"].append(outcome(commit, arm, end, blame=BLAME.get(end, "agent")))
            missing = end == "patch.missing"
            rows["patches"].append(
                {
                    "commit": commit,
                    "arm": arm,
                    "status": "failed" if missing else "ok",
                    "cause": end if missing else None,
                }
            )
        rows["outcomes"] += [outcome(commit, arm) for arm in (BASELINE, HUMAN)]
    for place in range(excluded):
        rows["tasks"].append(task(f"{place}" * 40, status="excluded", exclusion="no_command"))
    report = reports.built(rows)
    for arm, ended in zip(("alba", "brio"), zip(*ends, strict=True), strict=True):
        row = next(row for row in report.agents if row.arm == arm)
        assert row.planned == len(ends)
        assert row.measured == ended.count("measured")
        assert row.missing == ended.count("patch.missing")
        assert row.counted == len(ends) - sum(
            ended.count(end) for end in ("pending", "patch.missing", "infra.gpu", "unknown")
        )
