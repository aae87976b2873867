"""Kills in the middle of a block of real servers: the same command finishes, and no launch is made
twice."""

from __future__ import annotations

import os
import signal
import subprocess

import psutil
import pytest

from patchbench.system.pid_space import here
from patchbench.system.processes import OWNER
from tests import idle
from tests.workflow.project import LONG, Project, kill_group, wait_for

pytestmark = pytest.mark.workflow


def started(project: Project, args: list[str], finished: int) -> subprocess.Popen[bytes]:
    """Start a run and wait until it has finished so many launches and serves another."""
    run = project.start(*args)
    wait_for(lambda: sum(project.finished().values()) >= finished)
    wait_for(lambda: bool(servers(project)))
    return run


def servers(project: Project) -> list[psutil.Process]:
    """Return the running servers of tinyserve."""
    processes = []
    for process in project.processes():
        try:
            if "tinyserve" in process.cmdline():
                processes.append(process)
        except psutil.Error:
            continue
    return processes


def jobs(project: Project) -> list[psutil.Process]:
    """Return the running jobs of blocks."""
    processes = []
    for process in project.processes():
        try:
            if any(word.endswith("stages.run_benchmark") for word in process.cmdline()[1:3]):
                processes.append(process)
        except psutil.Error:
            continue
    return processes


def finishes(project: Project, args: list[str], blocks: int = 1) -> None:
    """Give the same command again: it finishes, and no launch was finished twice."""
    before = project.finished()
    done = project.snakemake(*args)
    assert done.returncode == 0, done.stderr[-3000:]
    after = project.finished()
    assert before <= after
    assert set(after.values()) == {1}
    assert len(after) == blocks * 4 + 1  # four arms, one A/A launch
    assert (project.results / "report.md").is_file()
    assert not project.processes()


def test_sigkill_of_the_whole_run_in_the_middle_of_a_block(project: Project) -> None:
    args = project.small_config(blocks=1, windows=2)
    kill_group(started(project, args, finished=2))
    finishes(project, args)
    # The windows of a launch are kept apart, also where the kill struck between them.
    runs = [r for r in project.table("runs") if r["launched"] and r["metric"] == "ttft_median_ms"]
    assert runs
    for run in runs:
        assert len(run["windows"]) == 2
        assert min(run["windows"]) <= run["value"] <= max(run["windows"])
        records = sorted(p.name for p in (project.folder / run["folder"]).glob("*.judge"))
        assert records == ["window-1.judge", "window-2.judge"]


def test_sigkill_of_snakemake_alone_stops_its_orphaned_job(project: Project) -> None:
    args = project.small_config()
    run = started(project, args, finished=6)
    os.kill(run.pid, signal.SIGKILL)
    run.wait()
    wait_for(lambda: not project.processes())
    report = project.snakemake("report", "--cores", "1", "--configfile", "small.yaml")
    assert report.returncode == 0, report.stderr
    # The first block is over: its launches are there, and nothing is concluded from them yet.
    assert {row["block"] for row in project.table("runs")} == {1}
    assert {row["status"] for row in project.table("outcomes")} == {"pending"}
    finishes(project, args, blocks=2)


def test_a_killed_job_is_started_again_by_the_same_run(project: Project) -> None:
    args = project.small_config(blocks=1)
    run = started(project, args, finished=2)
    for job in jobs(project):
        job.kill()
    assert run.wait(LONG) == 0
    finishes(project, args)


def test_ctrl_c_leaves_nothing_running_and_loses_nothing(project: Project) -> None:
    args = project.small_config(blocks=1)
    run = started(project, args, finished=2)
    os.killpg(run.pid, signal.SIGINT)
    assert run.wait(LONG) != 0
    wait_for(lambda: not project.processes())
    finishes(project, args)


def test_a_server_left_by_a_dead_run_is_ended_by_the_next(project: Project) -> None:
    args = project.small_config(blocks=1)
    kill_group(started(project, args, finished=1))
    stray = subprocess.Popen(
        ["sleep", "600"],
        env={**project.env, OWNER: f"999999999:1:boot:{here().namespace}"},
    )
    done = project.snakemake(*args)
    assert done.returncode == 0, done.stderr[-3000:]
    assert stray.wait(LONG) == -signal.SIGKILL


def test_a_second_run_on_the_same_results_is_refused(project: Project) -> None:
    args = idle.make(project, {"alba": 1800}, seconds=0.5, protocol={"blocks": 5})
    run = project.start(*args)
    wait_for(lambda: sum(project.finished().values()) >= 1)
    hold = idle.hold(project)
    second = project.snakemake(*args)
    assert second.returncode != 0
    assert f"another run (process {run.pid}) works on this results folder" in second.stderr
    assert "Traceback" not in second.stderr
    report = project.snakemake("report", "--cores", "1", "--configfile", idle.CONFIG)
    assert report.returncode == 0, report.stderr
    assert "PARTIAL" in (project.results / "report.md").read_text()
    hold.unlink()
    assert run.wait(LONG) == 0
    assert set(project.finished().values()) == {1}
    assert project.plans_nothing(*args)
