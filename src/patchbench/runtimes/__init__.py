"""Where arms run. One module per runtime, all with the interface of ``runtimes.base``."""

from __future__ import annotations

from pathlib import Path

from patchbench.runtimes.base import BuildFailed, Runtime
from patchbench.runtimes.process import ProcessRuntime

__all__ = ["BuildFailed", "Runtime", "open_runtime"]


def open_runtime(name: str, work: Path) -> Runtime:
    """The runtime that a configuration names."""
    return {"process": ProcessRuntime}[name](work)
