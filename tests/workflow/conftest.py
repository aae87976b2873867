"""A copy of the project per test session, in which whole runs are made as a person makes them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests import idle
from tests.workflow.project import LONG, ROOT, Project, wait_for


def copy_project(target: Path) -> Project:
    """Copy what git would clone, plus what is not committed yet."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
    ).stdout.split(b"\0")
    for name in filter(None, listed):
        source, place = ROOT / os.fsdecode(name), target / os.fsdecode(name)
        if source.is_file() or source.is_symlink():
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, place, follow_symlinks=False)
    return Project(target)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A fresh copy of the project."""
    return copy_project(tmp_path / "project")


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A copy in which the demo has been worked off once, by the command that people use; with fewer
    blocks than theirs unless the slow tests run."""
    copy = copy_project(tmp_path_factory.mktemp("demo") / "project")
    if not os.environ.get("PATCHBENCH_SLOW"):
        config = copy.folder / "config" / "config.yaml"
        config.write_text(config.read_text().replace("  blocks: 5\n", "  blocks: 3\n"))
    done = copy.snakemake("--cores", "4", "--resources", "gpu=1", timeout=LONG)
    sys.stderr.write(done.stderr[-4000:])
    assert done.returncode == 0, done.stderr[-4000:]
    return copy


@pytest.fixture(scope="session")
def idle_run(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A finished campaign of the idle engine, from which tests make copies: a commit, two agents
    (one faster, one as fast as the baseline), blocks that are enough for a verdict."""
    copy = copy_project(tmp_path_factory.mktemp("idle") / "project")
    agents = {"alba": 1800, "brio": 1001}
    plan = {"protocol": {"blocks": 2}, "statistics": {"min_blocks": 2}}
    done = copy.snakemake(*idle.make(copy, agents, **plan))
    assert done.returncode == 0, done.stderr[-4000:]
    return copy


@pytest.fixture
def finished(idle_run: Project, tmp_path: Path) -> Project:
    """A copy of the finished campaign; ``idle.OPTIONS`` run it again."""
    target = tmp_path / "finished"
    shutil.copytree(idle_run.folder, target, symlinks=True)
    return Project(target)


@pytest.fixture(autouse=True)
def _nothing_left_running(request: pytest.FixtureRequest):
    """After each test no process of a run of this session is left."""
    yield
    given = getattr(request.node, "funcargs", {})
    for name in ("project", "demo", "finished"):
        if name in given:
            wait_for(lambda name=name: not given[name].processes(), 60)
