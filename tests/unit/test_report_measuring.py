"""The report says how each task was measured and how answers were checked."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from patchbench.records import AnswerCheck, Finding
from patchbench.report.layout import grids
from patchbench.report.tables import collect
from patchbench.system.files import write_json
from tests.unit import make, reports, synthetic
from tests.unit.judge_make import make_load
from tests.unit.reports import COMMITS, comparison, small_rows, task

A, B = COMMITS[:2]


def rows() -> reports.Rows:
    """Task A was measured by the judge, task B measured itself."""
    made = small_rows()
    made["tasks"] = [
        task(A, reference="reproduced", measured_by="judge", load="12 requests, closed loop of 4",
             perf_command="bench serve --max-concurrency 4"),
        task(B, measured_by="own"),
    ]  # fmt: skip
    made["comparisons"] += [
        comparison(A, "alba", 0.6, role="guard", metric="startup_s", unit="s", verdict="slower"),
        comparison(A, "alba", 0.9, role="cost", metric="cpu_s", unit="s", verdict="slower"),
        comparison(B, "human", 1.3),
    ]
    made["runs"] = [
        {"commit": A, "arm": arm, "block": 1, "launched": True, "status": "measured",
         "metric": "ttft_median_ms", "value": 9.0, "unit": "ms", "counted_by": "ids",
         "windows_left_out": 1, "agreement": 1.0 if arm == "brio" else None}
        for arm in ("baseline", "human", "alba", "brio")
    ]  # fmt: skip
    checks = {
        "alba": {"answers_status": "like_baseline", "answers_scored": 96,
                 "answers_gap": 0.0150, "answers_baseline_gap": 0.0149},
        "human": {"answers_status": "wrong_output", "answers_rule": "tail", "answers_scored": 96,
                  "answers_gap": 0.5, "answers_baseline_gap": 0.0149},
        "brio": {"answers_status": "not_usable", "answers_reason": "the engine scores no tokens"},
    }  # fmt: skip
    made["outcomes"] = [
        row | (checks.get(row["arm"], {}) if row["commit"] == A else {}) for row in made["outcomes"]
    ]
    made["findings"] = [
        {"commit": A, "arm": "brio", "block": 2, "window": 1, "cause": "empty_chunks",
         "severity": "note", "request": 3, "requests": 4, "text": "the first chunk is empty",
         "file": f"results/runs/{A}/block-2/brio/window-1.judge"},
        {"commit": A, "arm": "alba", "block": 1, "window": 2, "cause": "bench.less_work",
         "severity": "fault", "request": 7, "requests": 1, "text": "4 tokens of 8",
         "file": f"results/runs/{A}/block-1/alba/window-2.judge"},
    ]  # fmt: skip
    return made


def test_every_task_says_who_measured_it_and_what_was_asked() -> None:
    report = reports.built(rows())
    page = reports.page(report)
    line = reports.line(page, f"| {A[:8]} | `ttft_median_ms` | the j")
    assert "`bench serve --max-concurrency 4` | 12 requests, closed loop of 4" in line
    own = reports.line(page, f"| {B[:8]} | `ttft_median_ms` | self-measured")
    assert "the commit's own benchmark" in own
    assert report.measuring[0].left_out == 4


def test_self_measured_figures_are_marked_wherever_they_stand() -> None:
    report = reports.built(rows())
    shown = grids(report)
    for name in ("speedups", "patches", "measuring"):
        of_task = [[c.plain for c in row] for row in shown[name].rows if B[:8] in row[0].plain]
        assert of_task, name
        assert all("self-measured" in " ".join(row) for row in of_task), name
    own = [column.title for column in shown["means"].columns].index("Self-measured")
    human = shown["means"].rows[0]
    assert (human[0].plain, human[own].plain) == ("Human", "1")
    marked = [row for row in shown["speedups"].rows if "self-measured" in row[0].plain]
    assert len(marked) == 1
    assert "> **SELF-MEASURED:** the figures of bbbbbbbb come from" in reports.page(report)
    judged = [row for row in rows()["tasks"] if row["measured_by"] == "judge"]
    assert "SELF-MEASURED" not in reports.page(reports.built({**rows(), "tasks": [
        {**task(B), "measured_by": "judge"}, *judged]}))  # fmt: skip


def test_the_check_of_answers_names_its_kind_and_its_figures() -> None:
    found = {row.arm: row for row in reports.built(rows()).answers}
    assert {arm: row.check for arm, row in found.items()} == {
        "human": "scores",
        "alba": "scores",
        "brio": "fixed prompts",
    }
    page = reports.page(reports.built(rows()))
    alba = reports.line(page, f"| {A[:8]} | Alba | scores |")
    assert "like the baseline's" in alba and "0.0150" in alba and "0.0149" in alba
    assert "wrong (rule tail)" in reports.line(page, f"| {A[:8]} | human | scores |")
    brio = reports.line(page, f"| {A[:8]} | Brio | fixed prompts (weaker) |")
    assert "the engine scores no tokens" in brio and "100.0 %" in brio


def test_the_first_lines_say_who_measured() -> None:
    said = reports.built(rows()).words.findings
    assert [line for line in said if "judge" in line] == [
        "1 of 2 tasks was measured by the judge, from outside; the answers that 2 of 3 measured "
        "arms gave under load were scored by the baseline's server."
    ]


def test_findings_stand_with_their_request_faults_first() -> None:
    report = reports.built(rows())
    assert [row.severity for row in report.findings] == ["fault", "note"]
    line = reports.line(reports.page(report), f"| {A[:8]} | Alba | 1 | 2 | 7 | 1 | fault |")
    assert "`bench.less_work`" in line and "4 tokens of 8" in line
    assert report.findings[0].link == f"runs/{A}/block-1/alba/window-2.judge"


def test_guards_and_costs_are_shown() -> None:
    page = reports.page(reports.built(rows()))
    assert "0.60x" in reports.line(page, f"| {A[:8]} | Alba | `startup_s` |")
    assert "shown only" in reports.line(page, f"| {A[:8]} | Alba | `cpu_s` |")


def test_tables_of_older_versions_have_none_of_it() -> None:
    report = reports.small()
    assert (report.measuring, report.findings, report.guards) == ((), (), ())
    assert "SELF-MEASURED" not in reports.page(report)


def test_the_tables_hold_checks_and_findings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    plan = synthetic.plan(tmp_path)
    synthetic.fill(plan)
    commit = synthetic.A
    judged = make.task(commit, workload=make.workload(load=make_load()))
    write_json(Path(plan.results) / "tasks" / f"{commit}.json", judged)
    path = Path(plan.results) / "metrics" / f"{commit}.json"
    metrics = msgspec.json.decode(path.read_bytes(), type=synthetic.Metrics)
    replace = msgspec.structs.replace
    note = Finding(
        cause="empty_chunks", severity="note", request=3, requests=2, text="empty", window=1
    )
    check = AnswerCheck(status="like_baseline", mean_gap=0.02, baseline_gap=0.01, answers=96)
    metrics = replace(
        metrics,
        runs=tuple(
            replace(run, counted_by="ids", findings=(note,) if run.arm == "alba" else ())
            for run in metrics.runs
        ),
        arms=tuple(replace(a, answers=check if a.arm == "alba" else None) for a in metrics.arms),
    )
    write_json(path, metrics)
    tables = {name: table.to_pylist() for name, table in collect.tables(plan).items()}
    (of_task,) = (row for row in tables["tasks"] if row["commit"] == commit)
    assert of_task["measured_by"] == "judge" and "closed loop of 4" in of_task["load"]
    (alba,) = (r for r in tables["outcomes"] if (r["commit"], r["arm"]) == (commit, "alba"))
    assert (alba["answers_status"], alba["answers_scored"]) == ("like_baseline", 96)
    assert (alba["answers_gap"], alba["answers_baseline_gap"]) == (0.02, 0.01)
    assert {(r["arm"], r["cause"], r["request"]) for r in tables["findings"]} == {
        ("alba", "empty_chunks", 3)
    }
    assert len(tables["findings"]) == 5


def test_tasks_whose_answers_nothing_checked_are_named() -> None:
    made = rows()
    assert reports.built(made).unchecked == ()
    made["runs"] = [row | {"agreement": None} for row in made["runs"]]
    assert reports.built(made).unchecked == (A,)
    checks = [row for row in reports.built(made).answers if row.check == "none"]
    assert [row.arm for row in checks] == ["brio"]
