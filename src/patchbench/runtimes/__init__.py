"""Where arms run. One module per runtime, all with the interface of ``runtimes.base``."""

from __future__ import annotations

from pathlib import Path

from patchbench.records import Task
from patchbench.runtimes.base import BuildFailed, Child, ImageMissing, Made, Place, Runtime

__all__ = ["BuildFailed", "Child", "ImageMissing", "Made", "Place", "Runtime", "open_runtime"]


def open_runtime(task: Task, results: Path) -> Runtime:
    """The runtime that a task's campaign names; its images belong to this results folder."""
    # Imported when they are needed: a job of the one need not wait for the other's libraries.
    if task.runtime == "docker":
        from patchbench.runtimes.docker.runtime import DockerRuntime

        return DockerRuntime(task, results)
    if task.runtime == "apptainer":
        from patchbench.runtimes.apptainer.runtime import ApptainerRuntime

        return ApptainerRuntime(task, results)
    from patchbench.runtimes.process import ProcessRuntime

    return ProcessRuntime(Path(task.work), results)
