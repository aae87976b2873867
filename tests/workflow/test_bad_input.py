"""A person's mistake ends in one clear line, a non-zero exit and no file."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from tests import idle
from tests.workflow.project import Project

pytestmark = pytest.mark.workflow


def refusal(project: Project, *args: str) -> str:
    """Return the only line of ours that a run prints before it exits without having written."""
    done = project.snakemake("--cores", "4", *args)
    assert done.returncode != 0
    assert "Traceback" not in done.stderr
    lines = [line for line in done.stderr.splitlines() if line.startswith("patchbench: ")]
    assert len(lines) == 1, done.stderr
    assert not project.results.exists()
    return lines[0]


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
