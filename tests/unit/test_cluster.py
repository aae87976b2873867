"""What a run's first process hears of its jobs on other machines."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from patchbench.errors import InfraFault
from patchbench.ledger import machine_faults, progress
from patchbench.system import slurm
from patchbench.workflow import breaker
from patchbench.workflow.cluster import Follower, attend


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A run of which this process is the scheduler; the signals that it would get."""
    monkeypatch.setenv(progress.FOLLOWED, "")
    monkeypatch.delenv(progress.FOLLOWED)
    monkeypatch.setenv(machine_faults.INVOCATION, "")
    breaker.begin(tmp_path, breaker=3)
    got: list[int] = []
    monkeypatch.setattr(os, "kill", lambda pid, number: got.append(number))
    return got


def fault(results: Path) -> None:
    """A job on another machine that ends with a fault of the machine."""
    with (
        pytest.raises(InfraFault, match="no room"),
        breaker.watched(results, "c0", "run_benchmark"),
    ):
        raise InfraFault("infra.disk_full | somewhere | no room")


def test_a_jobs_wish_is_heeded(
    tmp_path: Path, run: list[int], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    listening = attend(tmp_path, seconds=0.01)
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr(slurm, "host", lambda: "node3")
        for _ in range(3):
            fault(tmp_path)
    listening.join(5)
    assert not listening.is_alive()
    assert run == [signal.SIGTERM]
    assert "patchbench: node3: infra.breaker | 3 jobs in a row" in capsys.readouterr().err


def test_a_wish_for_an_earlier_run_is_not_heeded(tmp_path: Path, run: list[int]) -> None:
    (tmp_path / machine_faults.STOP).write_text('{"run":"another","by":"node3","why":"x"}')
    listening = attend(tmp_path, seconds=0.01)
    listening.join(0.2)
    assert listening.is_alive()
    assert not run
    breaker.begin(tmp_path, breaker=3)
    assert not (tmp_path / machine_faults.STOP).exists()
    listening.join(5)
    assert not listening.is_alive()


def test_progress_and_faults_of_jobs_are_shown_once(
    tmp_path: Path, run: list[int], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    progress.say(tmp_path, "of an earlier run")
    capsys.readouterr()
    listening = attend(tmp_path, seconds=0.01)
    progress.say(tmp_path, "block 1 | measured")
    fault(tmp_path)  # on this machine: the job has said it itself
    monkeypatch.setenv("SLURM_JOB_ID", "17")
    fault(tmp_path)
    time.sleep(0.2)
    breaker.begin(tmp_path, breaker=3)
    listening.join(5)
    said = capsys.readouterr().err.splitlines()
    assert said == ["block 1 | measured", "patchbench: infra.disk_full | somewhere | no room"]


def test_a_line_is_shown_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "log"
    follower = Follower(path)
    assert follower.new() == []
    path.write_bytes(b"one\ntw")
    assert follower.new() == [b"one"]
    assert follower.new() == []
    path.write_bytes(b"one\ntwo\nthree\n")
    assert follower.new() == [b"two", b"three"]
    assert Follower(path).new() == []


def test_lines_go_to_a_display_if_there_is_one(tmp_path: Path, run: list[int]) -> None:
    class Shown:
        def __init__(self) -> None:
            self.lines: list[str] = []

        def line(self, text: str) -> None:
            self.lines.append(text)

        def look(self) -> None:
            """Nothing to bring up to date."""

        def close(self) -> None:
            """Nothing is drawn."""

    shown = Shown()
    listening = attend(tmp_path, seconds=0.01, to=shown)
    progress.say(tmp_path, "10:00 1/2 block 1 measured", " | A title")
    deadline = time.monotonic() + 20
    while not shown.lines and time.monotonic() < deadline:
        time.sleep(0.01)
    breaker.begin(tmp_path, breaker=3)
    listening.join(20)
    assert shown.lines == ["10:00 1/2 block 1 measured"]
