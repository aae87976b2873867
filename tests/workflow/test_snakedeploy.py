"""A deployment by snakedeploy from a clone plans the demo."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.workflow.project import BIN, LONG, Project

SNAKEDEPLOY = shutil.which("snakedeploy")
pytestmark = [
    pytest.mark.workflow,
    pytest.mark.skipif(not os.environ.get("PATCHBENCH_SLOW"), reason="slow: make test-slow"),
    pytest.mark.skipif(not SNAKEDEPLOY, reason="no snakedeploy (pip install snakedeploy)"),
]


def test_a_deployed_workflow_plans_the_demo(project: Project, tmp_path: Path) -> None:
    def run(*words: str | Path, cwd: Path) -> str:
        done = subprocess.run(
            words, cwd=cwd, env=project.env, capture_output=True, text=True, timeout=LONG
        )
        assert done.returncode == 0, done.stderr
        return done.stdout + done.stderr

    git = ("git", "-c", "user.name=p", "-c", "user.email=p@example.org")
    run("git", "init", "-q", "-b", "main", cwd=project.folder)
    run(*git, "add", "-A", cwd=project.folder)
    run(*git, "commit", "-q", "-m", "all", cwd=project.folder)
    target = tmp_path / "deployed"
    target.mkdir()
    assert SNAKEDEPLOY
    run(SNAKEDEPLOY, "deploy-workflow", project.folder, target, "--branch", "main", cwd=tmp_path)
    # Of a clone on this machine snakedeploy writes the path within the clone alone.
    snakefile = target / "workflow" / "Snakefile"
    written = snakefile.read_text()
    assert '"workflow/Snakefile"' in written
    source = f'"{project.folder}/workflow/Snakefile"'
    snakefile.write_text(written.replace('"workflow/Snakefile"', source))
    assert (target / "config" / "config.yaml").is_file()
    assert (target / "profiles" / "default" / "profile.yaml").is_file()
    planned = run(BIN / "snakemake", "-n", "--cores", "4", cwd=target)
    assert "run_benchmark" in planned
