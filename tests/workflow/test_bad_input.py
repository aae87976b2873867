"""A person's mistake ends in one clear line, a non-zero exit and no file."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from patchbench.system.locks import release, try_lock
from tests import idle
from tests.workflow.project import BIN, LONG, Project
from tests.workflow.test_reading import MODULE

pytestmark = pytest.mark.workflow


def refusal(project: Project, *args: str) -> str:
    """Return the only line of ours that a run prints before it exits without having written."""
    line = only_line(project.snakemake("--cores", "4", *args))
    assert not project.results.exists()
    return line


def only_line(done: subprocess.CompletedProcess[str]) -> str:
    """Return the only line of ours, but for warnings, that Snakemake ended with; it names no line
    of code."""
    assert done.returncode == 1
    lines = done.stderr.splitlines()
    ours = [line for line in lines if re.match("patchbench: (?!warning: )", line)]
    assert len(ours) == 1, done.stderr
    assert not [line for line in lines if "Traceback" in line or 'File "' in line], done.stderr
    assert "Error" not in done.stderr
    return ours[0]


def config_with(project: Project, **changes: Any) -> list[str]:
    """Write the demo's configuration with changes; returns Snakemake's options."""
    config = yaml.safe_load((project.folder / "config/config.yaml").read_text())
    config.update(changes)
    (project.folder / "changed.yaml").write_text(yaml.safe_dump(config))
    return ["--configfile", "changed.yaml"]


def test_an_unknown_key(project: Project) -> None:
    line = refusal(project, *config_with(project, protcol={"blocks": 3}))
    assert "changed.yaml" in line
    assert "'protcol'" in line
    assert "did you mean 'protocol'" in line


def test_a_configuration_file_that_is_not_yaml(project: Project) -> None:
    (project.folder / "tasks.yaml").write_text("tasks: [\n")
    line = refusal(project, *config_with(project, tasks=["tasks.yaml"]))
    assert "tasks.yaml" in line
    assert "not valid YAML" in line


def test_no_gpu_slot(project: Project) -> None:
    line = refusal(project, "--resources", "gpu=0")
    assert "--resources gpu=0" in line


def test_without_the_profile_and_in_a_module_it_is_the_same_line(
    project: Project, tmp_path: Path
) -> None:
    bad = ("-n", "--resources", "gpu=0")
    line = refusal(project, *bad)
    assert refusal(project, *bad, "--workflow-profile", "none") == line
    (tmp_path / "Snakefile").write_text(MODULE.format(source=project.folder))
    done = subprocess.run(
        [BIN / "snakemake", *bad],
        cwd=tmp_path, env=project.env, capture_output=True, text=True, timeout=LONG,
    )  # fmt: skip
    assert only_line(done) == line


def test_a_damaged_count_of_requests_for_images(project: Project) -> None:
    damaged = project.results / "asked.json"
    damaged.parent.mkdir()
    damaged.write_text("{")
    line = only_line(project.snakemake("-n"))
    assert "results/asked.json" in line
    assert "next: delete it" in line


def test_a_results_folder_that_another_run_works_on(project: Project) -> None:
    args = idle.make(project, {"alba": 1800}, protocol={"blocks": 1})
    project.results.mkdir()
    taken = try_lock(project.results / ".lock")
    assert taken is not None
    for more in ((), ("--workflow-profile", "none")):
        done = project.snakemake(*args, *more)
        assert "another run" in only_line(done)
    assert [path.name for path in project.results.iterdir()] == [".lock"]
    release(taken)


def test_a_missing_agent_folder_is_a_warning_and_no_coverage(project: Project) -> None:
    args = idle.make(project, {"alba": 1800}, protocol={"blocks": 1})
    config = idle.read(project)
    idle.write(project, config | {"agents": config["agents"] | {"dora": {"patches": "gone"}}})
    done = project.snakemake(*args)
    assert done.returncode == 0, done.stderr
    assert "warning: idle.yaml: agents.dora.patches: no folder gone" in done.stderr
    dora = [row for row in project.table("outcomes") if row["arm"] == "dora"]
    assert [row["cause"] for row in dora] == ["patch.missing"]
    assert "| dora | 1 | 0 |" in (project.results / "report.md").read_text()
