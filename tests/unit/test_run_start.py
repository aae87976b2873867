"""The beginning and the end of a run, and the limits that hold for it."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from patchbench.errors import BadInput, InfraFault
from patchbench.images import missing, room
from patchbench.ledger import machine_faults
from patchbench.plan import campaign, places
from patchbench.records import Built
from patchbench.system import slurm
from patchbench.system.files import write_json
from patchbench.system.locks import release, try_lock
from patchbench.system.pid_space import here
from patchbench.workflow import cluster, resources, run_start
from patchbench.workflow.bad_input import told_in_one_line
from patchbench.workflow.rules import Rules
from tests.unit.test_workflow_rules import FEW, config

__all__ = ["config"]


@pytest.fixture
def rules(config: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> Rules:
    """A campaign whose run changes nothing of this process for good."""
    monkeypatch.setenv(machine_faults.INVOCATION, "")
    monkeypatch.setattr(run_start, "end_leftovers", lambda: ["sleep (17)"])
    monkeypatch.setattr(run_start.signals, "answer_aside", lambda *_: None)
    monkeypatch.setattr(run_start.atexit, "register", lambda *_: None)
    config["disk"] = {"reserve_mb": 1, "outcomes_mb": 1, "reserve_inodes": 1}
    return Rules(campaign.load(config), config)


def test_a_run_takes_the_results_folder(rules: Rules, capsys: pytest.CaptureFixture[str]) -> None:
    gone = Built(
        stage="build_image", commit=FEW, arm="alba", status="failed", cause="image.missing"
    )
    record = Path("results/images", FEW, "alba.json")
    write_json(record, gone)
    asked = missing.counts(Path("results"))
    run_start.begin(dataclasses.replace(rules, asked=asked), elsewhere=False)
    assert json.loads(Path("results/plan.json").read_bytes()) == rules.campaign.digests
    assert set(json.loads(Path("results/cohorts.json").read_bytes())) == {"alba", "brio"}
    assert not record.exists()
    assert missing.recall(Path("results")) == {f"{FEW}/alba": 1}
    run = machine_faults.current(Path("results"))
    assert run is not None
    assert os.environ[machine_faults.INVOCATION] == run.id
    assert capsys.readouterr().err.splitlines() == [
        "patchbench: making 1 record(s) anew of images that were missing",
        "patchbench: ended a process of a dead run: sleep (17)",
    ]


def test_a_second_run_is_refused(rules: Rules) -> None:
    taken = try_lock(Path("results/.lock"))
    assert taken is not None
    try:
        with pytest.raises(BadInput, match=f"another run .process {os.getpid()}. works on this"):
            run_start.begin(rules, elsewhere=False)
    finally:
        release(taken)
    assert not Path("results/plan.json").exists()


@pytest.mark.parametrize("elsewhere", [True, False])
def test_only_a_run_on_a_cluster_or_a_terminal_listens_to_its_jobs(
    rules: Rules, monkeypatch: pytest.MonkeyPatch, elsewhere: bool
) -> None:
    heard: list[Path] = []
    monkeypatch.setattr(cluster, "attend", lambda results, to: heard.append(results))
    run_start.begin(rules, elsewhere=elsewhere)  # pytest's stderr is no terminal
    assert heard == [Path("results")] * elsewhere


def test_an_engine_that_fails_ends_no_run(
    rules: Rules, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import patchbench.runtimes.docker.leftovers as leftovers

    def fails(*_: object) -> list[str]:
        raise InfraFault("infra.engine | no answer")

    monkeypatch.setattr(leftovers, "clean_up", fails)
    docker = msgspec.structs.replace(rules.campaign, runtime="docker")
    run_start.clean_engine(docker, Path("results"))
    assert capsys.readouterr().err == "patchbench: warning: infra.engine | no answer\n"
    monkeypatch.setattr(leftovers, "clean_up", lambda *_: ["container x"])
    run_start.clean_engine(docker, Path("results"))
    assert "dead run: container x" in capsys.readouterr().err
    monkeypatch.setenv(slurm.PER_NODE, "yes")
    run_start.clean_engine(docker, Path("results"))
    assert capsys.readouterr().err == ""


def test_half_written_files_of_dead_processes_are_swept(rules: Rules) -> None:
    dead = Path("results", "tasks", f".x.json.{slurm.host()}.{here().mark}.999999999.part")
    dead.parent.mkdir(parents=True)
    dead.touch()
    whole = dead.with_name("x.json")
    whole.touch()
    run_start.sweep(rules.campaign)
    assert whole.exists()
    assert not dead.exists()


def test_few_cores_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    run_start.warn_of_few_cores(4, 4)
    run_start.warn_of_few_cores(None, 4)
    assert capsys.readouterr().err == ""
    run_start.warn_of_few_cores(3, 4)
    assert "not all 4 GPUs will be used; give 6 or more" in capsys.readouterr().err


# --- limits ---------------------------------------------------------------------------------------


def test_limits_of_a_run(rules: Rules) -> None:
    limits = resources.limits(rules.campaign, 2)
    assert limits.pop("disk_mb") > 1
    assert limits == {"gpu": 2, "build": 2, "image_slots": 1}


def test_no_gpu_or_too_few_is_refused() -> None:
    resources.check({"gpu": 2}, 2)
    with pytest.raises(BadInput, match=r"gpu=0: .* `snakemake report`"):
        resources.check({"gpu": 0}, 1)
    with pytest.raises(BadInput, match="gpu=1: a task needs more GPUs"):
        resources.check({"gpu": 1}, 2)


def test_a_full_disk_is_not_no_limit(rules: Rules) -> None:
    huge = msgspec.structs.replace(rules.campaign.disk, reserve_mb=10**12)
    assert room.spare_mb(msgspec.structs.replace(rules.campaign, disk=huge)) == 1


@pytest.mark.parametrize("kind", [BadInput, InfraFault])
def test_errors_end_the_run_in_one_line(kind: type[Exception]) -> None:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit) as raised, told_in_one_line():
        raise kind("x.yaml: key:\n  no")
    assert raised.value.code == "patchbench: x.yaml: key: no"
    assert signal.getsignal(signal.SIGTERM) == before


@pytest.mark.parametrize(
    ("make_it", "text"),
    [
        (lambda path: path.touch(), "results is no folder"),
        (lambda path: path.symlink_to("nowhere"), "results is a link that leads nowhere"),
    ],
)
def test_a_results_folder_that_cannot_be_one_is_one_line(tmp_path: Path, make_it, text) -> None:
    places.check_folder(tmp_path / "results/demo")
    make_it(tmp_path / "results")
    with pytest.raises(BadInput, match=rf"{text} \| next: move it away"):
        places.check_folder(tmp_path / "results/demo")


def test_a_results_folder_of_another_user_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(BadInput, match=r"may not write to .* \| next: see its owner"):
        places.check_folder(tmp_path / "results")


def test_files_that_cannot_be_used_end_the_run_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"^patchbench: .*/gone: No such file"), told_in_one_line():
        (tmp_path / "gone").read_bytes()


def test_a_workflow_in_a_folder_with_braces_is_one_line() -> None:
    places.check_source("/home/me/patchbench")
    with pytest.raises(BadInput, match=r"/home/\{me\}: Snakemake looks for wildcards .*next:"):
        places.check_source("/home/{me}")
