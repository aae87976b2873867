"""A private engine per session, and projects in which whole runs are made on it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from patchbench.plan import recipes
from patchbench.system.locks import locked
from tests.engine.archive import root_archive
from tests.engine.engines import PrivateEngine, why_not
from tests.engine.patches import repository
from tests.engine.tasks import Bench, docker_task
from tests.workflow.conftest import copy_project
from tests.workflow.project import LONG, Project

# Set where these tests must not be skipped: in CI.
REQUIRED = "PATCHBENCH_NEEDS_ENGINE"
# Set for the whole of them: more repetitions, more commits, half an hour in all.
SLOW = bool(os.environ.get("PATCHBENCH_SLOW"))


@pytest.fixture(scope="session")
def can_start_engines() -> None:
    """Skips the test where no engine can be started, or fails it where one must."""
    if reason := why_not():
        if os.environ.get(REQUIRED):
            pytest.fail(f"{REQUIRED} is set: {reason}")
        pytest.skip(reason)


@pytest.fixture(scope="session")
def engine(
    can_start_engines: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[PrivateEngine]:
    """An engine with all the room of the disk."""
    private = PrivateEngine(tmp_path_factory.mktemp("engine") / "root")
    try:
        yield private.start()
    finally:
        private.stop()


@pytest.fixture(scope="session")
def base_archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """tinyserve's root file system, made once for all test processes, of the network's packages."""
    base = tmp_path_factory.getbasetemp()
    shared = (base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base) / "base"
    with locked(shared.with_suffix(".lock"), seconds=LONG, what="the base's file system"):
        return root_archive(shared)


def on_engine(project: Project, engine: PrivateEngine, archive: Path) -> Project:
    """Have a project's runs use an engine and an archive that is made already."""
    project.env["DOCKER_HOST"] = engine.url
    images = project.folder / ".patchbench" / "images"
    images.mkdir(parents=True)
    digest = recipes.content(project.folder / "envs/images/tinyserve")
    shutil.copyfile(archive, images / f"tinyserve-{digest}.tar")
    return project


@pytest.fixture
def docker_project(tmp_path: Path, engine: PrivateEngine, base_archive: Path) -> Project:
    """A fresh copy of the project on the session's engine."""
    return on_engine(copy_project(tmp_path / "project"), engine, base_archive)


@pytest.fixture
def bench(
    docker_project: Project, engine: PrivateEngine, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Bench]:
    """Makes and runs images of one task of such a project."""
    monkeypatch.chdir(docker_project.folder)
    monkeypatch.setenv("PATCHBENCH_LOCKS", docker_project.env["PATCHBENCH_LOCKS"])
    repository(docker_project)
    task_bench = Bench(docker_project, docker_task(docker_project, engine.url))
    yield task_bench
    task_bench.runtime.remove(task_bench.task)
