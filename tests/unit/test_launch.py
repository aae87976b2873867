"""Launches: what they refuse to start, and the windows of one server."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from patchbench.benchmark.context import LaunchContext
from patchbench.benchmark.launch import check_model, run
from patchbench.errors import InfraFault, Stopped
from patchbench.grading.run_folder import window_files
from patchbench.records import Task
from patchbench.system.processes import Guard
from tests.unit import make


def launch(model: str, known: dict[str, str]) -> LaunchContext:
    task = make.task(subject=make.subject(model=known))
    nothing = dict.fromkeys(("image", "client_image", "folder", "runtime", "guard"))
    return LaunchContext(**nothing, arm="brio", task=task, workload=make.workload(model=model))


def test_a_model_folder_that_is_gone_is_the_machines_fault(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    with pytest.raises(InfraFault, match=r"infra\.model_missing .* arm brio .*put the model back"):
        check_model(launch(str(folder), {"tiny": str(folder)}))
    folder.mkdir()
    check_model(launch(str(folder), {"tiny": str(folder)}))


def test_a_model_that_is_only_a_name_is_not_looked_for() -> None:
    check_model(launch("meta-llama/Llama-2-7b", {}))


def test_one_window_has_plain_names_and_each_other_its_number() -> None:
    assert window_files(1) == ("benchmark", "result.json", "window-1.judge")
    assert window_files(3) == ("benchmark-3", "result-3.json", "window-3.judge")
    assert window_files(3).logs == ("benchmark-3.stderr", "benchmark-3.stdout")


class Dying:
    """A process that has just ended with an exit code, and a runtime that starts nothing else."""

    flags = ()

    def __init__(self, code: int, told: Callable[[], None]) -> None:
        self.exit_code, self.told = code, told

    def launch(self, image: str, command: list[str], **_: Any) -> Dying:
        self.told()
        return self

    def inside(self, path: Path) -> str:
        return str(path)

    def python(self, task: Task) -> str:
        return "python3"

    def stop(self, seconds: float) -> str:
        return "had ended"


def offline(tmp_path: Path, guard: Guard, runtime: Dying) -> LaunchContext:
    """A launch of an offline benchmark in that runtime."""
    known = launch("meta-llama/Llama-2-7b", {})._asdict()
    work = make.workload(type="throughput")
    return LaunchContext(
        **known
        | {"workload": work, "folder": tmp_path, "runtime": runtime, "guard": guard}
        | {"image": "i", "client_image": "i"}
    )


def test_who_is_told_to_end_a_moment_after_the_arm_did_judges_nothing(
    tmp_path: Path, guard: Guard
) -> None:
    # scancel signals all processes of a job: a server that ends in good order may be the first.
    def soon() -> None:
        threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGTERM)).start()

    with pytest.raises(Stopped, match="SIGTERM"):
        run(offline(tmp_path, guard, Dying(1, soon)))


def test_a_failure_that_nobody_ordered_is_the_arms(tmp_path: Path, guard: Guard) -> None:
    (phase,) = run(offline(tmp_path, guard, Dying(1, lambda: None)))
    assert (phase.status, phase.exit_code) == ("failed", 1)
