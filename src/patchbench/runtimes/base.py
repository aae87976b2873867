"""What a runtime offers: images made from a parent and a patch, and processes inside them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from patchbench.processes import Child
from patchbench.records import Task


class BuildFailed(Exception):
    """The image can't be made from these inputs; the text is the tool's own message."""


class Runtime(Protocol):
    """One way to run arms. Images are content-addressed: equal inputs give an equal name."""

    name: str

    def image(self, task: Task, arm: str, patch_sha256: str | None) -> str:
        """Name of the image of an arm."""
        ...

    def exists(self, image: str) -> bool:
        """Whether the image is there."""
        ...

    def build(self, task: Task, image: str, patch: Path | None, repo: Path) -> None:
        """Make the image. Raises BuildFailed, or InfraFault if the machine is to blame."""
        ...

    def remove(self, task: Task) -> list[str]:
        """Remove all images of a task's commit; returns their names."""
        ...

    def launch(
        self,
        image: str,
        command: Sequence[str],
        *,
        env: Mapping[str, str],
        stdout: Path,
        stderr: Path,
        keep: Sequence[int] = (),
    ) -> Child:
        """Start a process in the image."""
        ...

    def python(self, task: Task) -> str:
        """The interpreter that runs the subject."""
        ...
