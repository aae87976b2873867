"""Where arms run. One module per runtime, all with the interface of ``runtimes.base``."""

from __future__ import annotations

from pathlib import Path

from patchbench.records import Task
from patchbench.runtimes.base import BuildFailed, Runtime
from patchbench.runtimes.process import ProcessRuntime

__all__ = ["BuildFailed", "Runtime", "open_runtime"]


def open_runtime(task: Task, results: Path) -> Runtime:
    """The runtime that a task's campaign names; its images belong to this results folder."""
    return {"process": ProcessRuntime}[task.runtime](Path(task.work), results)
