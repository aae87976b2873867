"""What a runtime offers: images made from a parent and a patch, and processes inside them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import NamedTuple, Protocol

from patchbench.records import Task
from patchbench.system.processes import Guard


class BuildFailed(Exception):
    """The image can't be made from these inputs; the text is the tool's own message."""


class ImageMissing(Exception):
    """A prebuilt image that nobody has; the text is the engine's or registry's own message."""


class Made(NamedTuple):
    """Facts of an image: see ``records.Built``."""

    image_id: str = ""
    made_from: str = ""
    layers: tuple[str, ...] = ()
    size: int = 0
    own_size: int = 0
    rebuilt: bool = False
    digests: tuple[str, ...] = ()


class Child(Protocol):
    """A started process (tree), its output in two files."""

    @property
    def stdout(self) -> Path:
        """Where its standard output goes."""
        ...

    @property
    def stderr(self) -> Path:
        """Where its standard error goes."""
        ...

    @property
    def exit_code(self) -> int | None:
        """None while it runs; negative is the number of the signal that ended it."""
        ...

    @property
    def flags(self) -> tuple[str, ...]:
        """Limits of a sandbox that it ran into: oom, pids. Complete once it was stopped."""
        ...

    def stop(self, seconds: float) -> str:
        """End it and all that it started: SIGTERM, after ``seconds`` SIGKILL, then see that all is
        gone. Returns how it ended, in words."""
        ...


class Place(NamedTuple):
    """Where and for whom a process runs. ``role`` is server, client, probe, smoke; ``beside`` is
    the process whose network it shares; ``gpus`` are slot indexes; ``keep`` are descriptors that
    must stay open while it lives (the locks of its GPU slots); ``reads`` are files and folders it
    must see, ``writes`` files that it is to write."""

    commit: str
    arm: str
    role: str
    beside: Child | None = None
    gpus: tuple[str, ...] = ()
    keep: tuple[int, ...] = ()
    reads: tuple[Path, ...] = ()
    writes: tuple[Path, ...] = ()


class Runtime(Protocol):
    """One way to run arms. Images are content-addressed: equal inputs give an equal name."""

    name: str

    def image(self, task: Task, arm: str, patch_sha256: str | None) -> str:
        """Name of the image of an arm."""
        ...

    def exists(self, image: str) -> bool:
        """Whether the image is there."""
        ...

    def build(
        self,
        task: Task,
        arm: str,
        image: str,
        patch: Path | None,
        repo: Path,
        log: Path,
        guard: Guard,
    ) -> Made:
        """Make the image if it isn't there. Raises BuildFailed, ImageMissing, InfraFault if the
        machine is to blame, Stopped."""
        ...

    def room(self, task: Task, arm: str, guard: Guard) -> AbstractContextManager[None]:
        """Wait until there is room for an arm's image, and keep it for the body. Raises InfraFault
        if none can be had, Stopped."""
        ...

    def using(self, task: Task, guard: Guard) -> AbstractContextManager[None]:
        """Keep the images of a task's commit on this machine for the body."""
        ...

    def remove(self, task: Task) -> list[str]:
        """Remove all images of a task's commit; returns their names."""
        ...

    def clean(self) -> list[str]:
        """End what dead runs left (processes, containers, torn images); returns what that was."""
        ...

    def disks(self) -> list[Path]:
        """Folders on the file systems that images take room on."""
        ...

    def launch(
        self,
        image: str,
        command: Sequence[str],
        *,
        env: Mapping[str, str],
        stdout: Path,
        stderr: Path,
        place: Place,
    ) -> Child:
        """Start a process in the image. Raises InfraFault if it can't be started at all."""
        ...

    def inside(self, path: Path) -> str:
        """How a process in an image names a file of ours that it reads or writes."""
        ...

    def python(self, task: Task) -> str:
        """The interpreter that runs the subject."""
        ...

    def tree(self, task: Task, image: str) -> str:
        """Where the subject's files lie for a process in the image, with a slash at the end."""
        ...
