"""Blocks as Slurm jobs: two at once on GPUs of their own, and everything that a run can lose."""

from __future__ import annotations

import os
import signal
from typing import Any

import pytest

from tests.slurm.conftest import SlurmProject
from tests.workflow.project import wait_for
from tests.workflow.test_resume import servers

pytestmark = pytest.mark.slurm

LAUNCHES = 4  # per block: baseline, human, two agents; one of those doesn't build


def launched(project: SlurmProject) -> list[dict[str, Any]]:
    """One row of the table per launch that was measured."""
    rows = {(r["block"], r["arm"]): r for r in project.table("runs") if r["launched"]}
    return list(rows.values())


def overlap(rows: list[dict[str, Any]], one: int, other: int) -> bool:
    """Whether two blocks were measured at the same time."""
    spans = [
        (min(r["started"] for r in mine), max(r["ended"] for r in mine))
        for mine in ([r for r in rows if r["block"] == number] for number in (one, other))
    ]
    return spans[0][0] < spans[1][1] and spans[1][0] < spans[0][1]


def complete(project: SlurmProject, blocks: int) -> None:
    """Everything was measured, each launch once; nobody is charged with what the cluster did."""
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


def test_two_blocks_at_once_on_gpus_of_their_own(slurm_project: SlurmProject) -> None:
    args = slurm_project.campaign(gpus=4, blocks=4)
    done = slurm_project.snakemake(*args)
    assert done.returncode == 0, done.stderr[-4000:]
    complete(slurm_project, blocks=4)
    rows = launched(slurm_project)
    assert {r["node"] for r in rows} == {slurm_project.cluster.node}
    assert len({r["slurm_job"] for r in rows}) == 4
    slots = {r["block"]: r["gpu_slot"] for r in rows}
    assert set(slots.values()) == {"0", "1"}
    pairs = [(a, b) for a in slots for b in slots if a < b and overlap(rows, a, b)]
    assert pairs
    assert all(slots[a] != slots[b] for a, b in pairs)
    again = slurm_project.snakemake("-n", *args)
    assert "Nothing to be done" in again.stdout + again.stderr


def in_the_middle(project: SlurmProject, args: list[str], finished: int):
    """A run that has finished so many launches and is in the middle of another."""
    run = project.start(*args)
    wait_for(lambda: sum(project.finished().values()) >= finished, 90)
    wait_for(lambda: bool(servers(project)), 20)
    return run


def test_a_job_that_is_cancelled_goes_on_and_charges_nobody(slurm_project: SlurmProject) -> None:
    cluster = slurm_project.cluster
    args = slurm_project.campaign(gpus=1)
    run = in_the_middle(slurm_project, args, finished=2)
    (job,) = cluster.queue("R")
    cluster.ask("scancel", job)
    run.wait(200)
    if run.returncode:
        done = slurm_project.snakemake(*args)
        assert done.returncode == 0, done.stderr[-4000:]
    complete(slurm_project, blocks=3)


def test_a_node_whose_daemon_restarts_loses_nothing(slurm_project: SlurmProject) -> None:
    cluster = slurm_project.cluster
    args = slurm_project.campaign(gpus=1)
    run = in_the_middle(slurm_project, args, finished=2)
    cluster.stop_node()
    cluster.start_node()
    assert run.wait(200) == 0
    complete(slurm_project, blocks=3)


def test_ctrl_c_cancels_the_jobs_and_loses_nothing(slurm_project: SlurmProject) -> None:
    args = slurm_project.campaign(gpus=1)
    run = in_the_middle(slurm_project, args, finished=2)
    os.killpg(run.pid, signal.SIGINT)
    assert run.wait(60) != 0
    wait_for(lambda: not slurm_project.cluster.queue(), 40)
    wait_for(lambda: not slurm_project.processes(), 20)
    done = slurm_project.snakemake(*args)
    assert done.returncode == 0, done.stderr[-4000:]
    complete(slurm_project, blocks=3)
