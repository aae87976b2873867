"""Blocks as Slurm jobs: two at once on GPUs of their own, and all that a run can lose."""

from __future__ import annotations

import os
import signal
import subprocess
from typing import Any

import pytest

from tests.slurm.conftest import SlurmProject
from tests.workflow.project import LONG, wait_for
from tests.workflow.test_resume import servers

pytestmark = pytest.mark.slurm

LAUNCHES = 4  # per block: baseline, human, two agents; one of those doesn't build


def launched(project: SlurmProject) -> list[dict[str, Any]]:
    """Return one row of the table per launch that was measured."""
    rows = {(r["block"], r["arm"]): r for r in project.table("runs") if r["launched"]}
    return list(rows.values())


def overlap(rows: list[dict[str, Any]], one: int, other: int) -> bool:
    """Return True if two blocks were measured at the same time."""
    spans = [
        (min(r["started"] for r in mine), max(r["ended"] for r in mine))
        for mine in ([r for r in rows if r["block"] == number] for number in (one, other))
    ]
    return spans[0][0] < spans[1][1] and spans[1][0] < spans[0][1]


def complete(project: SlurmProject, blocks: int) -> None:
    """Check that everything was measured once and that no agent pays for the cluster."""
    finished = project.finished()
    assert set(finished.values()) == {1}, finished
    assert len(finished) == blocks * LAUNCHES + 1
    outcomes = {r["arm"]: r for r in project.table("outcomes")}
    assert {arm: r["status"] for arm, r in outcomes.items()} == {
        "baseline": "measured", "human": "measured", "alba": "measured", "brio": "failed",
    }  # fmt: skip
    assert outcomes["brio"]["cause"] == "patch.import"
    assert {r["blocks_measured"] for arm, r in outcomes.items() if arm != "brio"} == {blocks}
    assert not [r for r in project.table("runs") if r["cause"] and r["arm"] != "brio"]


def test_two_blocks_at_once_on_gpus_of_their_own(wide_project: SlurmProject) -> None:
    args = wide_project.campaign(gpus=4, blocks=4)
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


def in_the_middle(project: SlurmProject, args: list[str]) -> subprocess.Popen[bytes]:
    """Start a run and wait until it has finished two launches and serves another."""
    run = project.start(*args)
    wait_for(lambda: sum(project.finished().values()) >= 2)
    wait_for(lambda: bool(servers(project)))
    return run


def goes_on(project: SlurmProject, run: subprocess.Popen[bytes], seconds: float = LONG) -> None:
    """Check that the disturbed run ends well by itself and that everything was measured."""
    assert run.wait(seconds) == 0, (project.folder / "started.log").read_text()[-3000:]
    complete(project, blocks=2)


def test_a_job_that_is_cancelled_and_a_daemon_that_restarts_lose_nothing(
    narrow_project: SlurmProject,
) -> None:
    cluster = narrow_project.cluster
    run = in_the_middle(narrow_project, narrow_project.campaign(gpus=2, blocks=2))
    (job,) = cluster.queue("R")
    cluster.ask("scancel", job)
    wait_for(lambda: not servers(narrow_project))
    wait_for(lambda: bool(servers(narrow_project)))
    cluster.stop_node()
    cluster.start_node()
    goes_on(narrow_project, run)
    log = (narrow_project.folder / "started.log").read_text()
    assert log.count("Error in rule") == 1  # the cancelled job
    assert "'CANCELLED'" in log
    assert log.count("submitted with SLURM jobid") == 3  # two blocks, one of them twice
    assert "block 2/2" in log  # progress of jobs is shown by the run's first process


def test_ctrl_c_cancels_the_jobs_and_the_same_command_goes_on(
    narrow_project: SlurmProject,
) -> None:
    args = narrow_project.campaign(gpus=2, blocks=2)
    run = in_the_middle(narrow_project, args)
    os.killpg(run.pid, signal.SIGINT)
    assert run.wait(LONG) != 0
    wait_for(lambda: not narrow_project.cluster.queue())
    wait_for(lambda: not narrow_project.processes())
    done = narrow_project.snakemake(*args)
    assert done.returncode == 0, done.stderr[-4000:]
    complete(narrow_project, blocks=2)


def test_blocks_of_a_run_that_was_killed_are_taken_over(narrow_project: SlurmProject) -> None:
    args = narrow_project.campaign(gpus=2, blocks=3)
    run = in_the_middle(narrow_project, args)
    os.kill(run.pid, signal.SIGKILL)
    run.wait()
    assert len(narrow_project.cluster.queue()) == 2  # one runs, one waits
    done = narrow_project.snakemake(*args)
    assert done.returncode == 0, done.stderr[-4000:]
    complete(narrow_project, blocks=3)
    logs = [p.read_text() for p in narrow_project.folder.glob(".snakemake/slurm_logs/*/*/*.log")]
    assert any("which started this job, is gone" in log for log in logs)


# Slurm lets a requeued job wait two minutes before it starts again.
def test_a_preempted_job_is_requeued_and_goes_on(narrow_project: SlurmProject) -> None:
    cluster = narrow_project.cluster
    run = in_the_middle(narrow_project, narrow_project.campaign(gpus=2, blocks=2))
    (job,) = cluster.queue("R")
    # A job of higher priority takes the GPU for three seconds.
    cluster.ask(
        "sbatch", "--partition=urgent", "--gpus=1", "--output=/dev/null", "--wrap", "sleep 3"
    )
    goes_on(narrow_project, run)
    assert "Restarts=1" in cluster.ask("scontrol", "show", "job", job)


def test_a_job_whose_node_fails_is_requeued_and_goes_on(narrow_project: SlurmProject) -> None:
    cluster = narrow_project.cluster
    run = in_the_middle(narrow_project, narrow_project.campaign(gpus=2, blocks=2))
    (job,) = cluster.queue("R")
    cluster.crash_node()
    wait_for(lambda: "down" in cluster.ask("sinfo", "-h", "-o", "%T"))
    cluster.start_node()
    goes_on(narrow_project, run)
    assert "Restarts=1" in cluster.ask("scontrol", "show", "job", job)
