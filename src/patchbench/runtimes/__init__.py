"""Runtimes, in which arms run. Each has the interface of ``runtimes.base.Runtime``."""

from __future__ import annotations

from pathlib import Path

from patchbench.records import Task
from patchbench.runtimes.base import (
    BuildFailed,
    Child,
    ImageFacts,
    ImageMissing,
    Place,
    RebuildFailed,
    Runtime,
)

__all__ = [
    "BuildFailed",
    "Child",
    "ImageFacts",
    "ImageMissing",
    "Place",
    "RebuildFailed",
    "Runtime",
    "open_runtime",
]


def open_runtime(task: Task, results: Path) -> Runtime:
    """Return the runtime that the campaign names; its images belong to the results folder."""
    # Imported late: a job with plain processes need not load the Docker library.
    if task.runtime == "docker":
        from patchbench.runtimes.docker.runtime import DockerRuntime

        return DockerRuntime(task, results)
    from patchbench.runtimes.process import ProcessRuntime

    return ProcessRuntime(Path(task.work), results)
