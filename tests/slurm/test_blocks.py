"""Blocks as Slurm jobs: two at once on GPUs of their own, and all that a run can lose."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests import idle
from tests.slurm.conftest import SlurmProject
from tests.workflow.project import LONG, wait_for

pytestmark = pytest.mark.slurm

LAUNCHES = 4  # per block: baseline, human, two agents


def launched(project: SlurmProject) -> list[dict[str, Any]]:
    """Return one row of the table per launch that was measured."""
    rows = {(r["block"], r["arm"]): r for r in project.table("runs") if r["launched"]}
    return list(rows.values())


def overlap(rows: list[dict[str, Any]], one: int, other: int) -> bool:
    """Return True if two blocks were measured at the same time."""
    spans = [
        (min(r["started"] for r in own), max(r["ended"] for r in own))
        for own in ([r for r in rows if r["block"] == number] for number in (one, other))
    ]
    return spans[0][0] < spans[1][1] and spans[1][0] < spans[0][1]


def complete(project: SlurmProject, blocks: int, **failed: str) -> None:
    """Check that everything was measured once and that no agent pays for the cluster. ``failed``
    are causes of arms that fail by themselves."""
    finished = project.finished()
    assert set(finished.values()) == {1}, finished
    assert len(finished) == blocks * LAUNCHES + 1
    outcomes = {r["arm"]: r for r in project.table("outcomes")}
    assert outcomes.keys() == {"baseline", "human", "alba", "brio"}
    for arm, outcome in outcomes.items():
        assert outcome["cause"] == failed.get(arm), outcome
        assert arm in failed or outcome["blocks_measured"] == blocks, outcome
    assert not [r for r in project.table("runs") if r["cause"] and r["arm"] not in failed]


def test_two_blocks_at_once_on_gpus_of_their_own(wide_project: SlurmProject) -> None:
    args = wide_project.idle(gpus=4, blocks=4)
    done = wide_project.snakemake(*args)
    assert done.returncode == 0, done.stderr[-4000:]
    complete(wide_project, blocks=4)
    rows = launched(wide_project)
    assert {r["node"] for r in rows} == {wide_project.cluster.node}
    assert len({r["slurm_job"] for r in rows}) == 4
    slots = {r["block"]: r["gpu_slot"] for r in rows}
    assert set(slots.values()) == {"0", "1"}
    pairs = [(a, b) for a in slots for b in slots if a < b and overlap(rows, a, b)]
    assert pairs
    assert all(slots[a] != slots[b] for a, b in pairs)
    again = wide_project.snakemake("-n", *args)
    assert "Nothing to be done" in again.stdout + again.stderr


def in_the_middle(project: SlurmProject, args: list[str]) -> tuple[subprocess.Popen[bytes], Path]:
    """Start a run and wait until it has finished two launches and holds another up. Returns it and
    the file that holds the launch up."""
    run = project.start(*args)
    wait_for(lambda: sum(project.finished().values()) >= 2)
    return run, idle.hold(project)


def goes_on(project: SlurmProject, run: subprocess.Popen[bytes], seconds: float = LONG) -> None:
    """Check that the disturbed run ends well by itself and that everything was measured."""
    assert run.wait(seconds) == 0, (project.folder / "started.log").read_text()[-3000:]
    complete(project, blocks=2)


def test_a_job_that_is_cancelled_and_a_daemon_that_restarts_lose_nothing(
    narrow_project: SlurmProject,
) -> None:
    cluster = narrow_project.cluster
    run, hold = in_the_middle(narrow_project, narrow_project.idle(gpus=2, blocks=2))
    (job,) = cluster.queue("R")
    cluster.ask("scancel", job)
    wait_for(lambda: cluster.queue("R") not in ([], [job]))
    idle.hold(narrow_project)
    cluster.stop_node()
    cluster.start_node()
    hold.unlink()
    goes_on(narrow_project, run)
    log = (narrow_project.folder / "started.log").read_text()
    assert log.count("Error in rule") == 1  # the cancelled job
    assert "'CANCELLED'" in log
    assert "block 2/2" in log  # progress of jobs is shown by the run's first process


def test_ctrl_c_cancels_the_jobs_and_the_same_command_goes_on(
    narrow_project: SlurmProject,
) -> None:
    args = narrow_project.idle(gpus=2, blocks=2)
    run, hold = in_the_middle(narrow_project, args)
    os.killpg(run.pid, signal.SIGINT)
    assert run.wait(LONG) != 0
    wait_for(lambda: not narrow_project.cluster.queue())
    wait_for(lambda: not narrow_project.processes())
    hold.unlink()
    done = narrow_project.snakemake(*args)
    assert done.returncode == 0, done.stderr[-4000:]
    complete(narrow_project, blocks=2)


def test_blocks_of_a_run_that_was_killed_are_taken_over(narrow_project: SlurmProject) -> None:
    log = narrow_project.folder / "started.log"
    args = narrow_project.idle(gpus=3, blocks=3)
    run, hold = in_the_middle(narrow_project, args)
    os.kill(run.pid, signal.SIGKILL)
    run.wait()
    assert narrow_project.cluster.queue("R")
    again = narrow_project.start(*args)
    wait_for(lambda: log.read_text().count("submitted with SLURM jobid") == 6)
    hold.unlink()
    assert again.wait(LONG) == 0, log.read_text()[-3000:]
    complete(narrow_project, blocks=3)
    # The job that ran has finished its block; those that waited have left theirs to the new ones.
    logs = (narrow_project.folder / ".snakemake" / "slurm_logs").glob("*/*/*.log")
    assert any("which started this job, is gone" in path.read_text() for path in logs)


# Slurm lets a requeued job wait two minutes before it starts again.
def test_a_preempted_job_is_requeued_and_goes_on(narrow_project: SlurmProject) -> None:
    cluster = narrow_project.cluster
    run, hold = in_the_middle(narrow_project, narrow_project.idle(gpus=2, blocks=2))
    (job,) = cluster.queue("R")
    # A job of higher priority takes the GPU for three seconds.
    cluster.ask(
        "sbatch", "--partition=urgent", "--gpus=1", "--output=/dev/null", "--wrap", "sleep 3"
    )
    wait_for(lambda: job not in cluster.queue("R"))
    hold.unlink()
    goes_on(narrow_project, run)
    assert "Restarts=1" in cluster.ask("scontrol", "show", "job", job)


def test_a_job_whose_node_fails_is_requeued_and_goes_on(narrow_project: SlurmProject) -> None:
    cluster = narrow_project.cluster
    run, hold = in_the_middle(narrow_project, narrow_project.idle(gpus=2, blocks=2))
    (job,) = cluster.queue("R")
    cluster.crash_node()
    wait_for(lambda: "down" in cluster.ask("sinfo", "-h", "-o", "%T"))
    hold.unlink()
    cluster.start_node()
    goes_on(narrow_project, run)
    assert "Restarts=1" in cluster.ask("scontrol", "show", "job", job)
