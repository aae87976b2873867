"""What was measured is not measured again, whatever a person does to the folders around it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import yaml

from tests import idle
from tests.workflow.conftest import copy_project
from tests.workflow.project import Project
from tests.workflow.test_bad_input import only_line

pytestmark = pytest.mark.workflow


def run(project: Project, *args: str) -> str:
    """Give a command that ends well; return what it printed."""
    done = project.snakemake(*args)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stderr


def starts(project: Project) -> int:
    """Count the launches that were ever started."""
    return sum(event["event"] == "run_started" for event in project.journal())


def verdicts(project: Project) -> dict[str, str]:
    return {row["arm"]: row["status"] for row in project.table("outcomes")}


def change(project: Project, **changes: object) -> None:
    idle.write(project, idle.read(project) | changes)


@pytest.mark.skipif(not os.environ.get("PATCHBENCH_SLOW"), reason="slow: make test-slow")
def test_folders_and_agents_that_come_and_go(project: Project) -> None:
    args = idle.make(project, {"alba": 1800, "brio": 1200}, protocol={"blocks": 1})
    run(project, *args)
    before, shown = starts(project), verdicts(project)
    assert set(shown.values()) == {"measured"}

    patches = project.folder / "patches"
    (patches / "alba").rename(patches / "elsewhere")
    assert "what was read last counts" in run(project, *args)
    assert (starts(project), verdicts(project)) == (before, shown)
    (patches / "elsewhere").rename(patches / "alba")
    run(project, *args)
    assert project.plans_nothing(*args)

    # A new name, and the old one again.
    agents = idle.read(project)["agents"]
    renamed = {"corso": agents["alba"], "brio": agents["brio"]}
    change(project, agents=renamed)
    run(project, *args)
    assert "corso" in (project.results / "report.md").read_text()
    change(project, agents=agents)
    run(project, *args)
    assert starts(project) == before

    # A patch changes, and changes back: what was measured of it comes back.
    commit = project.table("tasks")[0]["commit"]
    idle.write_patch(project, "alba", commit, 1700)
    run(project, *args)
    anew = starts(project)
    assert anew > before
    idle.write_patch(project, "alba", commit, 1800)
    run(project, *args)
    assert (starts(project), verdicts(project)) == (anew, shown)

    # An agent with a cohort of its own is taken out: nothing is pending for it.
    idle.write_patch(project, "dora", commit, 1600)
    change(project, agents={**agents, "dora": {"patches": "patches/dora"}})
    run(project, *args)
    more = starts(project)
    change(project, agents=agents)
    run(project, "report", *args)
    assert verdicts(project) == shown
    run(project, *args)
    assert starts(project) == more


def test_moved_results_and_a_moved_project(finished: Project, tmp_path: Path) -> None:
    project, args = finished, idle.OPTIONS
    before = starts(project)
    project.results.rename(project.folder / "moved")
    change(project, results="moved")
    project.results = project.folder / "moved"
    (project.results / "metrics").rename(tmp_path / "metrics")  # grading goes by the new place
    run(project, *args)
    assert starts(project) == before
    row = project.table("runs")[0]
    assert row["folder"].startswith("moved/runs/")


def test_touch_hides_no_change(project: Project) -> None:
    args = idle.make(project, {"alba": 1800}, protocol={"blocks": 1})
    run(project, *args)
    run(project, "--touch", *args)
    assert project.plans_nothing(*args)
    commit = project.table("tasks")[0]["commit"]
    idle.write_patch(project, "alba", commit, 1700)
    done = project.snakemake("--touch", *args)
    assert done.returncode == 1
    assert "patchbench: --touch: 2 record(s) are of another plan" in done.stderr
    assert "Traceback" not in done.stderr
    before = starts(project)
    run(project, *args)
    assert starts(project) > before


def test_no_task_leaves_a_finished_report_as_it_was(finished: Project) -> None:
    project, args = finished, idle.OPTIONS
    report = (project.results / "report.md").read_bytes()
    (project.folder / "tasks.yaml").write_text(yaml.safe_dump({"tasks": []}))
    for target in ((), ("report",)):
        done = project.snakemake(*target, *args)
        assert done.returncode == 1
        assert "patchbench: idle.yaml: tasks: the lists name no task" in done.stderr
    assert (project.results / "report.md").read_bytes() == report


def test_braces_in_the_path_are_one_line(tmp_path: Path) -> None:
    project = copy_project(tmp_path / "{commit} of {arm}")
    line = only_line(project.snakemake("-n", "--cores", "1"))
    assert "{commit} of {arm}: Snakemake looks for wildcards" in line


def test_the_environment_changes_nothing(project: Project) -> None:
    project.env["PYTHONWARNINGS"] = "error"
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        project.env[name] = "http://127.0.0.1:9"
    project.env |= {"LC_ALL": "C", "COLUMNS": "10", "NO_COLOR": "1"}
    for name in ("HOME", "TMPDIR"):
        project.env.pop(name, None)
    args = idle.make(project, {"alba": 1800}, protocol={"blocks": 1})
    said = run(project, *args)
    assert "Traceback" not in said
    assert "Warning" not in said
    assert verdicts(project)["alba"] == "measured"
