"""What a person gets wrong gets one clear line, a non-zero exit, and nothing half-written."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from tests.workflow.project import Project

pytestmark = pytest.mark.workflow


def refused(project: Project, *args: str) -> str:
    """The one line with which a run refuses; nothing was written."""
    done = project.snakemake("--cores", "4", *args)
    assert done.returncode != 0
    assert "Traceback" not in done.stderr
    lines = [line for line in done.stderr.splitlines() if line.startswith("patchbench: ")]
    assert len(lines) == 1, done.stderr
    assert not project.results.exists()
    return lines[0]


def config_with(project: Project, **changes: Any) -> list[str]:
    """Options that name a copy of the demo's configuration with changes."""
    config = yaml.safe_load((project.folder / "config/config.yaml").read_text())
    config.update(changes)
    (project.folder / "changed.yaml").write_text(yaml.safe_dump(config))
    return ["--configfile", "changed.yaml"]


def test_an_unknown_key(project: Project) -> None:
    line = refused(project, *config_with(project, protcol={"blocks": 3}))
    assert "changed.yaml" in line
    assert "'protcol'" in line
    assert "did you mean 'protocol'" in line


def test_an_unknown_key_further_down(project: Project) -> None:
    line = refused(project, *config_with(project, protocol={"blocks": 5, "limits": {"stat": 3}}))
    assert "protocol.limits" in line
    assert "'stat'" in line


def test_a_value_of_the_wrong_kind(project: Project) -> None:
    line = refused(project, *config_with(project, protocol={"blocks": "many"}))
    assert "protocol.blocks" in line
    assert "'many'" in line


def test_a_missing_mapping_file(project: Project) -> None:
    line = refused(project, *config_with(project, tasks=["config/nowhere.yaml"]))
    assert "tasks.0" in line
    assert "no such file: config/nowhere.yaml" in line


def test_an_unknown_subject(project: Project) -> None:
    task = {"commit": "a" * 40, "subject": "nothere", "perf_command": "x"}
    (project.folder / "tasks.yaml").write_text(yaml.safe_dump({"tasks": [task]}))
    line = refused(project, *config_with(project, tasks=["tasks.yaml"]))
    assert "tasks.yaml" in line
    assert "unknown subject 'nothere'" in line
    assert "tinyserve" in line


def test_a_configuration_file_that_is_not_yaml(project: Project) -> None:
    (project.folder / "tasks.yaml").write_text("tasks: [\n")
    line = refused(project, *config_with(project, tasks=["tasks.yaml"]))
    assert "tasks.yaml" in line
    assert "not valid YAML" in line


def test_no_gpu_slot(project: Project) -> None:
    line = refused(project, "--resources", "gpu=0")
    assert "--resources gpu=0" in line


def test_an_untrusted_campaign_on_the_process_runtime(project: Project) -> None:
    line = refused(project, *config_with(project, trust_patches=False))
    assert "trust_patches" in line


def test_a_missing_agent_folder_is_a_warning_and_no_coverage(project: Project) -> None:
    agents = {"alba": {"patches": "examples/tinyserve/agents/alba"}, "dora": {"patches": "gone"}}
    args = project.small_config(agents=agents)
    done = project.snakemake(*args, timeout=200)
    assert done.returncode == 0, done.stderr
    assert "warning: small.yaml: agents.dora.patches: no folder gone" in done.stderr
    dora = [row for row in project.table("outcomes") if row["arm"] == "dora"]
    assert [row["cause"] for row in dora] == ["patch.missing"]
    assert "| dora | 1 | 0 |" in (project.results / "report.md").read_text()
