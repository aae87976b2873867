"""`patchbench classify`: what a person sees."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from patchbench.cli import classify
from patchbench.errors import BadInput
from tests.unit.conftest import ROOT

REAL = ROOT / "tests" / "fixtures" / "failures"


def run(capsys: pytest.CaptureFixture[str], *words: str | Path) -> str:
    parser = argparse.ArgumentParser()
    classify.add_options(parser)
    classify.run(parser.parse_args([str(word) for word in words]))
    return capsys.readouterr().out


def as_json(capsys: pytest.CaptureFixture[str], *words: str | Path) -> dict[str, object]:
    found: dict[str, object] = json.loads(run(capsys, "--json", *words))
    return found


def test_a_person_sees_what_who_where_and_what_next(capsys: pytest.CaptureFixture[str]) -> None:
    log = REAL / "no_weights.stderr"
    assert run(capsys, "--stage", "server_start", log).splitlines() == [
        str(log),
        "  log      an engine's server",
        "  cause    task.bad_model: the model does not exist or can't be read",
        "  stage    server_start",
        "  blame    task (it strikes every arm alike, or the task's own arms fail)",
        f"  evidence {log}:7: RuntimeError: Cannot find any model weights with `/models/noweights`",
        "  next     name a model that exists in the task list, or exclude the task",
        "  retry    no",
        "  other    server.crash",
    ]


@pytest.mark.parametrize(
    ("words", "blame"),
    [
        ([], "unknown"),
        (["--baseline", "worked"], "agent"),
        (["--baseline", "failed"], "task"),
        (["--arm", "human", "--baseline", "worked"], "task"),
        (["--arm", "baseline"], "task"),
    ],
)
def test_the_baseline_decides_the_blame(
    capsys: pytest.CaptureFixture[str], words: list[str], blame: str
) -> None:
    found = as_json(capsys, *words, REAL / "import_error.stderr")
    assert (found["cause"], found["blame"]) == ("server.crash", blame)


def test_several_logs_are_one_launch(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    server = tmp_path / "server.stdout"
    server.write_text((REAL / "worker_exception.stdout").read_text())
    client = REAL / "worker_exception.client.stdout"
    found = as_json(capsys, "--stage", "benchmark", "--baseline", "worked", client, server)
    assert (found["cause"], found["blame"]) == ("server.crash_under_load", "agent")
    assert found["evidence"] == {
        "text": "IndexError: index 4 is out of bounds for dimension 0 with size 4",
        "file": str(server),
        "line": 9,
    }


def test_an_import_in_the_smoke_test_is_the_parents_in_the_parents_image(
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = ("--stage", "build_image", REAL / "import_error.stderr")
    assert as_json(capsys, *words)["cause"] == "patch.import"
    assert as_json(capsys, "--arm", "baseline", *words)["cause"] == "image.smoke_failed"


def test_a_log_that_says_nothing_is_unknown(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    log = tmp_path / "server.stderr"
    log.write_text("loading\nbye\n\n")
    found = as_json(capsys, "--baseline", "worked", log)
    assert (found["cause"], found["blame"]) == ("unknown", "unknown")
    assert found["evidence"] == {"text": "bye", "file": str(log), "line": 2}
    log.write_text("")
    assert "the logs are empty" in run(capsys, log)


def test_versions_runtime_and_packages_can_be_told(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    log = tmp_path / "server.stderr"
    log.write_text("OSError: [Errno 98] Address already in use\n")
    assert as_json(capsys, log)["cause"] == "infra.port_taken"
    assert as_json(capsys, "--version", "vllm=0.6.4", log)["cause"] == "task.known_bug"
    log.write_text("RuntimeError: can't start new thread\n")
    assert as_json(capsys, "--runtime", "docker", log)["cause"] == "sandbox.pids"
    log.write_text("ModuleNotFoundError: No module named 'tinyserve'\n")
    assert as_json(capsys, "--package", "tinyserve", log)["cause"] == "server.crash"


def test_a_missing_log_is_one_line(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no such file"):
        run(capsys, tmp_path / "gone.log")
    with pytest.raises(BadInput, match="is a folder"):
        run(capsys, tmp_path)


def test_the_predecessors_results_are_runs_of_their_own(
    capsys: pytest.CaptureFixture[str], sample: Callable[[str], Path]
) -> None:
    disk = sample("isobench/trae_gpt5_2deb029d_agent_result.disk_full.json")
    fine = sample("isobench/codex_3b61cb45_agent_result.latency_success.trimmed.json")
    first, second = run(capsys, disk, fine).split("\n\n")
    assert "blame    infra (the machine failed, whichever arm it struck)" in first
    assert "retry    3 launches in all, 30 s apart at first" in first
    assert second.rstrip() == f"{fine}\n  worked   no failure: the run has its metrics"
    found = json.loads(run(capsys, "--json", disk, fine))
    assert [row["cause"] for row in found] == ["infra.disk_full", None]


def test_a_refused_patch_needs_no_baseline(
    capsys: pytest.CaptureFixture[str], sample: Callable[[str], Path]
) -> None:
    name = "isobench/codex_ce6bf3a2_agent_result.patch_rejected_plus_env_error.trimmed.json"
    said = run(capsys, sample(name))
    assert "blame    agent (the patch failed before any launch, so no baseline is needed)" in said


def test_a_shared_fault_that_only_the_patch_has_points_at_the_change(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / "server.log"
    log.write_text("A module that was compiled using NumPy 1.x cannot be run in\nNumPy 2.0.1\n")
    beside = as_json(capsys, "--baseline", "worked", str(log))
    assert beside["blame"] == "agent"
    assert "look for it in the change" in str(beside["advice"])
    alone = as_json(capsys, "--baseline", "failed", str(log))
    assert alone["blame"] == "task"
    assert "pin the package" in str(alone["advice"])


def test_a_command_is_the_tasks_whatever_became_of_the_baselines(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / "server.log"
    log.write_text("main.py: error: unrecognized arguments: --no-such-flag\n")
    for words in ([], ["--baseline", "worked"], ["--baseline", "failed"]):
        found = as_json(capsys, *words, str(log))
        assert (found["cause"], found["blame"]) == ("task.bad_flag", "task")
        assert "correct the task's command" in str(found["advice"])


def test_a_client_that_the_version_lacks_is_the_tasks(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / "bench.log"
    log.write_text(
        "/usr/bin/python3: Error while finding module specification for 'engine.cli.main' "
        "(ModuleNotFoundError: No module named 'engine.cli')\n"
    )
    found = as_json(capsys, "--stage", "benchmark", str(log))
    assert (found["cause"], found["blame"]) == ("task.no_program", "task")
