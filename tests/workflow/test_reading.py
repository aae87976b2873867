"""Commands that only look change nothing, and the workflow is planned from any folder."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest

from patchbench.records import Built
from patchbench.system import slurm
from patchbench.system.files import write_json
from patchbench.system.pid_space import here
from tests.workflow.looking import LOOKING, state
from tests.workflow.project import BIN, LONG, Project

pytestmark = pytest.mark.workflow

HOUR = 3600
COMMIT = "6a8f6d89b7be55d43d48088d99b3153de4784bdb"
# Ten lines that a person writes to use the workflow in one of their own.
MODULE = """\
module patchbench:
    snakefile:
        "{source}/workflow/Snakefile"


use rule * from patchbench


onstart:
    patchbench.onstart()
"""


def total(done: subprocess.CompletedProcess[str]) -> int:
    """Jobs that a dry run plans."""
    assert done.returncode == 0, done.stderr
    rows = [line.split() for line in (done.stdout + done.stderr).splitlines()]
    return next(int(row[1]) for row in rows if row[:1] == ["total"])


@pytest.fixture
def left(project: Project) -> Project:
    """A project with what a dead run left: an image that was missing, half a record, a record from
    the future, a folder that no run holds."""
    results = project.results
    gone = Built(
        stage="build_image", commit=COMMIT, arm="alba", status="failed", cause="image.missing"
    )
    write_json(results / "images" / COMMIT / "alba.json", gone)
    (results / "tasks").mkdir()
    (results / "tasks" / f".{COMMIT}.json.{slurm.host()}.{here().mark}.999999999.part").touch()
    task = results / "tasks" / f"{COMMIT}.json"
    task.write_text("{}")
    os.utime(task, (time.time() + HOUR,) * 2)
    (results / ".lock").touch()
    return project


def test_looking_at_what_a_dead_run_left_changes_nothing(left: Project) -> None:
    before = state(left)
    for words in LOOKING:
        assert left.snakemake(*words).returncode == 0, words
        assert state(left) == before, words


def test_looking_where_nothing_is_makes_nothing(project: Project) -> None:
    for words in LOOKING[1:3]:
        assert project.snakemake(*words).returncode == 0, words
    assert state(project) == {}


def test_any_folder_will_do(project: Project, tmp_path: Path) -> None:
    here = total(project.snakemake("-n"))
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    for snakefile in ("Snakefile", "workflow/Snakefile"):
        words = ("-n", "-s", str(project.folder / snakefile), "-d", str(elsewhere))
        assert total(project.snakemake(*words)) == here
    assert {path.name for path in elsewhere.iterdir()} <= {".snakemake"}


def test_one_key_of_the_demo_can_be_changed_for_one_run(project: Project) -> None:
    changed = project.snakemake("-n", "--config", "campaign=mine")
    assert total(changed) == total(project.snakemake("-n"))


def test_the_profile_is_found_wherever_the_snakefile_is(project: Project, tmp_path: Path) -> None:
    words = [BIN / "snakemake", "-n", "-s", project.folder / "workflow/Snakefile"]
    done = subprocess.run(
        words, cwd=tmp_path, env=project.env, capture_output=True, text=True, timeout=LONG
    )
    assert done.returncode == 0, done.stderr
    assert f"{project.folder}/workflow/profiles/default" in done.stderr


def test_a_snakefile_of_ten_lines_uses_the_workflow(project: Project, tmp_path: Path) -> None:
    here = total(project.snakemake("-n"))
    outer = tmp_path / "outer"
    outer.mkdir()
    (outer / "Snakefile").write_text(MODULE.format(source=project.folder))
    assert len(MODULE.splitlines()) <= 10
    done = subprocess.run(
        [BIN / "snakemake", "-n"],
        cwd=outer, env=project.env, capture_output=True, text=True, timeout=LONG,
    )  # fmt: skip
    assert total(done) == here


def test_every_stage_has_help(project: Project) -> None:
    for script in sorted((project.folder / "workflow/scripts").glob("*.py")):
        by_script = project.python(str(script), "--help")
        module = f"patchbench.workflow.stages.{script.stem}"
        assert by_script == project.python("-m", module, "--help")
        assert by_script.startswith("usage: ")
