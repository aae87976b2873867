"""The breaker: equal faults in a row end a run, others don't."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from patchbench.errors import InfraFault, Stopped
from patchbench.ledger import machine_faults
from patchbench.ledger.machine_faults import FaultEvent
from patchbench.workflow import breaker


def job(results: Path, cause: str | None, commit: str = "c0") -> None:
    """A job that ends with a fault, or well."""
    with breaker.watched(results, commit, "build_image"):
        if cause:
            raise InfraFault(f"{cause} | somewhere | no room")


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A run of which this process is the scheduler; the signals that it would get."""
    monkeypatch.setenv(machine_faults.INVOCATION, "")
    breaker.begin(tmp_path, breaker=3)
    got: list[int] = []
    monkeypatch.setattr(os, "kill", lambda pid, number: got.append(number))
    return got


def test_equal_faults_in_a_row_end_the_run(
    tmp_path: Path, run: list[int], capsys: pytest.CaptureFixture[str]
) -> None:
    for _ in range(3):
        with pytest.raises(InfraFault, match="no room"):
            job(tmp_path, "infra.disk_full")
    assert run == [signal.SIGTERM]
    assert "3 jobs in a row ended with infra.disk_full" in capsys.readouterr().err
    # Whatever still starts ends at once, with the reason, and does nothing.
    with pytest.raises(InfraFault, match=r"infra.breaker"):
        job(tmp_path, None)


def test_a_success_or_another_fault_starts_the_count_anew(tmp_path: Path, run: list[int]) -> None:
    for cause in ("infra.disk_full", "infra.disk_full", None, "infra.disk_full", "infra.engine"):
        if cause is None:
            job(tmp_path, None)
        else:
            with pytest.raises(InfraFault):
                job(tmp_path, cause)
    assert not run


def test_what_may_be_a_patchs_own_doing_does_not_count(tmp_path: Path, run: list[int]) -> None:
    for _ in range(5):
        with pytest.raises(InfraFault, match="no room"):
            job(tmp_path, "killed")
    assert not run


def test_a_new_run_starts_at_zero(tmp_path: Path, run: list[int]) -> None:
    for _ in range(2):
        with pytest.raises(InfraFault):
            job(tmp_path, "infra.disk_full")
    breaker.begin(tmp_path, breaker=3)
    with pytest.raises(InfraFault):
        job(tmp_path, "infra.disk_full")
    assert not run


def test_a_job_that_waited_longer_than_its_run_lived_does_nothing(
    tmp_path: Path, run: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = os.environ[machine_faults.INVOCATION]
    breaker.begin(tmp_path, breaker=3)
    job(tmp_path, None)
    monkeypatch.setenv(machine_faults.INVOCATION, before)
    with pytest.raises(Stopped, match="is gone"):
        job(tmp_path, None)


def test_a_script_started_by_hand_counts_nothing(tmp_path: Path) -> None:
    for _ in range(5):
        with pytest.raises(InfraFault, match="no room"):
            job(tmp_path, "infra.disk_full")
    assert not machine_faults.events(tmp_path)


def test_commits_that_were_struck_until_one_of_their_jobs_goes_well(
    tmp_path: Path, run: list[int]
) -> None:
    for commit in ("c1", "c2"):
        with pytest.raises(InfraFault):
            job(tmp_path, "infra.disk_full", commit)
    assert machine_faults.struck(tmp_path) == {"c1", "c2"}
    job(tmp_path, None, "c3")
    job(tmp_path, None, "c1")
    assert machine_faults.struck(tmp_path) == {"c2"}


def test_the_row_is_of_equal_faults_at_the_end() -> None:
    def event(cause: str) -> FaultEvent:
        return FaultEvent(at="", run="r", cause=cause, commit="c", stage="s")

    found = [event(c) for c in ("infra.engine", "", "infra.oom", "infra.oom")]
    assert len(machine_faults.row(found, "r")) == 2
    assert machine_faults.row(found, "other") == []
