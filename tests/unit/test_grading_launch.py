"""One launch, judged from its facts and raw files alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from patchbench.grading import run_folder
from patchbench.grading.answers import agreement, read_answers
from patchbench.grading.launch import grade_launch
from patchbench.records import Evidence, Outcome, Phase
from tests.unit import make, outputs
from tests.unit.make import launch, phase

STARTED = phase("server_start")
TASK = make.task(workload=make.workload(requests=250))
OFFLINE = make.task(
    workload=make.workload(type="latency", requests=None), primary_metric="latency_avg_s"
)


def cause(folder: Path, *phases: Phase, task=TASK) -> str | None:
    return grade_launch(task, launch(folder, *phases), folder).cause


def test_a_launch_whose_phases_all_went_through_is_measured(tmp_path: Path) -> None:
    (tmp_path / run_folder.BENCH_OUT).write_text(outputs.V3.text)
    graded = grade_launch(
        TASK, launch(tmp_path, STARTED, phase("benchmark"), phase("stop")), tmp_path
    )
    assert (graded.status, graded.cause, graded.launched) == ("measured", None, True)
    times = {"startup_s": 1.0, "claimed_s": outputs.V3.metrics["duration_s"], "clock_s": 1.0}
    assert graded.metrics == pytest.approx(outputs.V3.metrics | times)


@pytest.mark.parametrize(
    ("phases", "expected"),
    [
        ([phase("server_start", "failed", 1)], "server.crash"),
        ([phase("server_start", "timeout", None)], "server.timeout"),
        ([STARTED, phase("output_check", "failed", None)], "check.failed"),
        ([STARTED, phase("output_check", "timeout", None)], "bench.timeout"),
        ([STARTED, phase("benchmark", "failed", 1)], "bench.client_failed"),
        ([STARTED, phase("benchmark", "timeout", None)], "bench.timeout"),
        (
            [STARTED, phase("benchmark", "failed", 1), phase("server_died", "failed", 1)],
            "server.crash_under_load",
        ),
        (
            [STARTED, phase("output_check", "failed", 1), phase("server_died", "failed", -11)],
            "server.crash_under_load",
        ),
        ([STARTED, phase("benchmark", "failed", -9)], "killed"),
        ([STARTED, phase("benchmark", "failed", 1), phase("server_died", "failed", -9)], "killed"),
    ],
)
def test_the_first_failed_phase_names_the_cause(
    tmp_path: Path, phases: list[Phase], expected: str
) -> None:
    assert cause(tmp_path, *phases) == expected


def test_an_offline_benchmark_that_fails_has_crashed(tmp_path: Path) -> None:
    assert cause(tmp_path, phase("benchmark", "failed", 1), task=OFFLINE) == "bench.crash"
    assert cause(tmp_path, phase("benchmark", "timeout", None), task=OFFLINE) == "bench.timeout"


def test_the_evidence_is_the_exception_in_the_log_of_what_failed(tmp_path: Path) -> None:
    (tmp_path / run_folder.SERVER_ERR).write_text("x\nIndexError: 4\nbye\n")
    (tmp_path / run_folder.BENCH_ERR).write_text("ClientError: refused\n")
    run = launch(tmp_path, STARTED, phase("benchmark", "failed"), phase("server_died", "failed"))
    evidence = grade_launch(TASK, run, tmp_path).evidence
    assert (evidence.text, evidence.line) == ("IndexError: 4", 2)
    assert evidence.file == str(tmp_path / run_folder.SERVER_ERR)
    run = launch(tmp_path, STARTED, phase("benchmark", "failed"))
    assert grade_launch(TASK, run, tmp_path).evidence.text == "ClientError: refused"


def test_without_an_exception_the_evidence_is_how_the_log_ends(tmp_path: Path) -> None:
    (tmp_path / run_folder.SERVER_ERR).write_text("loading\nSegmentation fault\n")
    run = launch(tmp_path, phase("server_start", "failed", -11, "ended by signal 11"))
    text = grade_launch(TASK, run, tmp_path).evidence.text
    assert text == "server_start: ended by signal 11; the log ends: Segmentation fault"


def test_a_fault_of_the_machine_that_spoilt_nothing_is_no_failure(tmp_path: Path) -> None:
    (tmp_path / run_folder.SERVER_ERR).write_text(
        "retrying: Temporary failure in name resolution\n"
    )
    (tmp_path / run_folder.BENCH_OUT).write_text(outputs.V3.text)
    assert cause(tmp_path, STARTED, phase("benchmark")) is None


def test_a_benchmark_that_ends_well_without_a_result_is_no_success(tmp_path: Path) -> None:
    (tmp_path / run_folder.BENCH_OUT).write_text("DEPRECATED\n" + outputs.box())
    assert cause(tmp_path, STARTED, phase("benchmark")) == "bench.no_metrics"
    (tmp_path / run_folder.BENCH_OUT).write_text(outputs.V3.text.replace(" 250 ", " 249 "))
    assert cause(tmp_path, STARTED, phase("benchmark")) == "bench.requests_failed"


def test_a_launch_that_never_was_keeps_its_upstream_cause(tmp_path: Path) -> None:
    upstream = Outcome(
        stage="validate_patch",
        commit=make.COMMIT,
        arm="alba",
        status="failed",
        cause="patch.syntax",
        evidence=Evidence(text="core.py:3: SyntaxError"),
    )
    run = launch(tmp_path, status="passed_on", upstream=upstream)
    graded = grade_launch(TASK, run, tmp_path)
    assert (graded.cause, graded.stage, graded.launched) == (
        "patch.syntax",
        "validate_patch",
        False,
    )
    assert graded.evidence == upstream.evidence


def test_answers_are_read_or_none(tmp_path: Path) -> None:
    assert read_answers(tmp_path) is None
    (tmp_path / run_folder.ANSWERS).write_text(json.dumps({"answers": ["a", "b"]}))
    assert read_answers(tmp_path) == ["a", "b"]
    for text in ("", "[]", '{"answers": [1]}', '{"other": []}'):
        (tmp_path / run_folder.ANSWERS).write_text(text)
        assert read_answers(tmp_path) is None


def test_agreement_is_the_share_of_accepted_answers() -> None:
    accepted = [{"a"}, {"b", "B"}, {"c"}, {"d"}]
    assert agreement(["a", "B", "c", "d"], accepted) == 1.0
    assert agreement(["a", "x", "c", "y"], accepted) == 0.5
    assert agreement(["a"], accepted) == 0.0
    assert agreement([], []) == 0.0
