"""A task of the demo in the Docker runtime, and its images, without the workflow around them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from patchbench.patches.repository import ensure_repository
from patchbench.plan import campaign, recipes, resolve, subjects
from patchbench.records import BASELINE, Task
from patchbench.runtimes import ImageFacts
from patchbench.runtimes.docker.runtime import DockerRuntime
from patchbench.system.processes import Guard
from tests.engine.patches import COMMIT
from tests.workflow.project import Project


def docker_task(project: Project, engine: str, **changes: Any) -> Task:
    """Return the resolved task of ``patches.COMMIT``; ``changes`` are keys of the configuration."""
    config = yaml.safe_load((project.folder / "config/config.yaml").read_text())
    # Files are remembered by their relative names, and tests change folders and files.
    subjects._subject.cache_clear()
    recipes._read.cache_clear()
    config |= {"runtime": "docker", "containers": {"engine": engine}, **changes}
    planned = campaign.load(config, "test")
    return resolve.resolve(planned.tasks[COMMIT])


class Bench:
    """Makes and runs images of one task."""

    def __init__(self, project: Project, task: Task) -> None:
        self.project, self.task = project, task
        self.runtime = DockerRuntime(task, project.results)
        self.guard = Guard()
        self.repo = ensure_repository(task.subject, "python3")

    def make(
        self, arm: str = BASELINE, patch: str = "", was: Sequence[str] = ()
    ) -> tuple[str, ImageFacts]:
        """Make an arm's image, or make it again as it was; returns its name and facts."""
        path: Path | None = None
        sha = None
        if arm != BASELINE:
            path = self.project.folder / f"{arm}.diff"
            path.write_text(patch)
            sha = hashlib.sha256(patch.encode()).hexdigest()
        name = self.runtime.image(self.task, arm, sha)
        log = self.project.folder / "build.log"
        place = self.task, arm, name, path, self.repo, log, self.guard
        return name, self.runtime.build(*place, was)

    def output(self, image: str, *words: str, **more: Any) -> str:
        """Return what the image's Python prints."""
        from patchbench.runtimes import Place
        from patchbench.system.processes import wait_until

        out, err = (self.project.folder / f"probe.{n}" for n in ("out", "err"))
        place = Place(self.task.commit, "test", "test", **more)
        command = [self.runtime.python(self.task), *words]
        child = self.runtime.launch(image, command, env={}, stdout=out, stderr=err, place=place)
        try:
            assert wait_until(lambda: child.exit_code is not None, 60, self.guard)
        finally:
            child.stop(2)
        assert child.exit_code == 0, err.read_text()
        return out.read_text().strip()
