"""Kills in the middle of a block: the same command finishes and measures nothing twice."""

from __future__ import annotations

import os
import signal
import subprocess
from typing import Any

import msgspec
import psutil
import pytest
import yaml

from tests.workflow.project import Project, kill_group, wait_for

pytestmark = pytest.mark.workflow


def started(project: Project, args: list[str], finished: int) -> subprocess.Popen[bytes]:
    """A run that has finished so many launches and is in the middle of another."""
    run = project.start(*args)
    wait_for(lambda: sum(project.finished().values()) >= finished, 60)
    wait_for(lambda: bool(servers(project)), 20)
    return run


def servers(project: Project) -> list[psutil.Process]:
    """Servers of tinyserve that run now."""
    found = []
    for process in project.processes():
        try:
            if "tinyserve" in process.cmdline():
                found.append(process)
        except psutil.Error:
            continue
    return found


def jobs(project: Project) -> list[psutil.Process]:
    """Block jobs that run now."""
    found = []
    for process in project.processes():
        try:
            if any(word.endswith("run_benchmark.py") for word in process.cmdline()[1:2]):
                found.append(process)
        except psutil.Error:
            continue
    return found


def finishes(project: Project, args: list[str]) -> None:
    """The same command again: it finishes, and no launch was finished twice."""
    before = project.finished()
    done = project.snakemake(*args, timeout=200)
    assert done.returncode == 0, done.stderr[-3000:]
    after = project.finished()
    assert before <= after
    assert set(after.values()) == {1}
    assert len(after) == 2 * 4 + 1  # two blocks of four arms, one A/A launch
    assert (project.results / "report.md").is_file()
    assert not project.processes()


def test_sigkill_of_the_whole_run_in_the_middle_of_a_block(project: Project) -> None:
    args = project.small_config()
    kill_group(started(project, args, finished=2))
    finishes(project, args)


def test_sigkill_of_snakemake_alone_stops_its_orphaned_job(project: Project) -> None:
    args = project.small_config()
    run = started(project, args, finished=6)
    os.kill(run.pid, signal.SIGKILL)
    run.wait()
    wait_for(lambda: not project.processes(), 20)
    report = project.snakemake("report", "--cores", "1", "--configfile", "small.yaml")
    assert report.returncode == 0, report.stderr
    # The first block is over: its launches are there, and nothing is concluded from them yet.
    assert {row["block"] for row in project.table("runs")} == {1}
    assert {row["status"] for row in project.table("outcomes")} == {"pending"}
    finishes(project, args)


def test_sigkill_of_a_job_is_made_good_in_the_same_run(project: Project) -> None:
    args = project.small_config()
    run = started(project, args, finished=2)
    for job in jobs(project):
        job.kill()
    assert run.wait(120) == 0
    finishes(project, args)


def test_ctrl_c_leaves_nothing_running_and_loses_nothing(project: Project) -> None:
    args = project.small_config()
    run = started(project, args, finished=3)
    os.killpg(run.pid, signal.SIGINT)
    assert run.wait(60) != 0
    wait_for(lambda: not project.processes(), 20)
    finishes(project, args)


def test_a_server_left_by_a_dead_run_is_ended_by_the_next(project: Project) -> None:
    args = project.small_config()
    kill_group(started(project, args, finished=1))
    stray = subprocess.Popen(
        ["sleep", "600"], env={**project.env, "PATCHBENCH_OWNER": "999999999:1.00"}
    )
    finishes_with_stray = project.snakemake(*args, timeout=200)
    assert finishes_with_stray.returncode == 0
    assert stray.wait(5) == -signal.SIGKILL
    assert "ended a process of a dead run" in finishes_with_stray.stderr


def test_a_second_run_on_the_same_results_is_refused(project: Project) -> None:
    args = project.small_config()
    run = started(project, args, finished=1)
    second = project.snakemake(*args)
    assert second.returncode != 0
    assert f"another run (process {run.pid}) works on this results folder" in second.stderr
    assert "Traceback" not in second.stderr
    report = project.snakemake("report", "--cores", "1", "--configfile", "small.yaml")
    assert report.returncode == 0, report.stderr
    assert "PARTIAL" in (project.results / "report.md").read_text()
    assert run.wait(120) == 0
    finishes(project, args)


def test_an_agent_that_comes_later_gets_blocks_of_its_own(project: Project) -> None:
    args = project.small_config()
    assert project.snakemake(*args, timeout=200).returncode == 0
    before = project.finished()
    alba = project.compared("alba")
    assert alba
    agents = {
        "alba": {"patches": "examples/tinyserve/agents/alba"},
        "brio": {"patches": "examples/tinyserve/agents/brio"},
        "dora": {"patches": "examples/tinyserve/agents/alba"},
    }
    args = project.small_config(agents=agents)
    done = project.snakemake(*args, timeout=200)
    assert done.returncode == 0, done.stderr
    new = project.finished() - before
    assert before <= project.finished()
    assert {block for _, block, _, _ in new} == {101, 102}
    assert {arm for _, _, arm, _ in new} == {"baseline", "human", "dora", "baseline-aa"}
    outcomes = {r["arm"]: r for r in project.table("outcomes")}
    # Its word may change: more A/A pairs tell more about the noise. What was measured may not.
    assert project.compared("alba") == alba
    assert outcomes["dora"]["status"] == "measured"
    assert project.plans_nothing(*args)
    # Taken out again: the report is rendered anew, nothing is measured.
    assert project.snakemake(*project.small_config(), timeout=200).returncode == 0
    assert project.finished() == before + new


def test_a_changed_patch_measures_its_task_again_and_keeps_the_old_runs(project: Project) -> None:
    args = project.small_config()
    assert project.snakemake(*args, timeout=200).returncode == 0
    before = project.finished()
    patch = next((project.folder / "examples/tinyserve/agents/alba").glob("91c02e4d*.diff"))
    human = project.folder / "examples/tinyserve/agents/brio" / patch.name
    human.write_bytes(patch.read_bytes())
    assert project.snakemake(*args, timeout=200).returncode == 0
    after = project.finished()
    assert before <= after
    assert set(after.values()) == {1}
    assert len(after) == 2 * len(before)
    assert list((project.results / "superseded").rglob("run.json"))
    assert project.plans_nothing(*args)


def test_several_windows_of_one_server_are_kept_apart(project: Project) -> None:
    args = project.small_config()
    config = yaml.safe_load((project.folder / "small.yaml").read_text())
    config["protocol"] |= {"windows": 3, "blocks": 2, "aa_blocks": 1}
    (project.folder / "small.yaml").write_text(yaml.safe_dump(config))
    done = project.snakemake(*args, timeout=200)
    assert done.returncode == 0, done.stderr[-3000:]
    runs = [r for r in project.table("runs") if r["launched"] and r["metric"] == "ttft_median_ms"]
    assert runs
    for run in runs:
        assert len(run["windows"]) == 3
        assert min(run["windows"]) <= run["value"] <= max(run["windows"])
        results = sorted(p.name for p in (project.folder / run["folder"]).glob("result*.json"))
        assert results == ["result-2.json", "result-3.json", "result.json"]


def record(project: Project, block: int) -> dict[str, Any]:
    (path,) = project.results.glob(f"runs/*/block-{block}/block.json")
    return msgspec.json.decode(path.read_bytes())


def orders(project: Project, block: int) -> list[str]:
    """The order in which a block's arms were launched."""
    return record(project, block)["order"]


def test_blocks_go_on_only_while_an_interval_is_wide(project: Project) -> None:
    args = project.small_config()
    config = yaml.safe_load((project.folder / "small.yaml").read_text())
    config["protocol"] |= {"blocks": {"min": 3, "max": 4}, "aa_blocks": 5}
    # A floor that nothing can be told apart from: the first look decides everything.
    config["statistics"] = {"min_floor": 1e6}
    (project.folder / "small.yaml").write_text(yaml.safe_dump(config))
    done = project.snakemake(*args, timeout=200)
    assert done.returncode == 0, done.stderr[-3000:]
    # No arm asks for a fourth one. A/A pairs go on for themselves.
    alone = {b: a for _, b, a, _ in project.finished() if b > 3}
    assert orders(project, 4) == ["baseline-aa", "baseline"]
    assert orders(project, 5) == ["baseline", "baseline-aa"]
    assert set(alone) == {4, 5}
    (twice,) = (row for row in project.table("comparisons") if row["role"] == "aa")
    assert twice["pairs"] == 5
    assert {row["pairs"] for row in project.table("comparisons")} == {3, 5}
    assert project.plans_nothing(*args)
    assert "pending" not in {r["status"] for r in project.table("outcomes")}
    # Fewer pairs asked for: what was measured stays.
    config["protocol"]["aa_blocks"] = 0
    (project.folder / "small.yaml").write_text(yaml.safe_dump(config))
    before = project.finished()
    done = project.snakemake(*args, timeout=200)
    assert done.returncode == 0, done.stderr[-3000:]
    assert project.finished() == before
    assert "not_needed" not in {record(project, block)["status"] for block in (1, 2, 3, 4)}
