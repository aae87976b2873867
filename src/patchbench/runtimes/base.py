"""The interface of a runtime: images made from a parent and a patch, and processes in them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import NamedTuple, Protocol

from patchbench.records import Task
from patchbench.system.processes import Guard


class BuildFailed(Exception):
    """The image can't be made from these inputs; the text is the tool's own message."""


class RebuildFailed(BuildFailed):
    """The compiled sources of an arm can't be built. ``parent_builds`` is True if the parent's can,
    by the same command and on the same machine."""

    def __init__(self, text: str, *, parent_builds: bool) -> None:
        super().__init__(text)
        self.parent_builds = parent_builds


class ImageMissing(Exception):
    """A prebuilt image does not exist; the text is the engine's or registry's own message."""


class ImageFacts(NamedTuple):
    """Facts of an image (see ``records.Built``); sizes in bytes."""

    image_id: str = ""
    made_from: str = ""
    layers: tuple[str, ...] = ()
    size: int = 0
    own_size: int = 0
    rebuilt: bool = False
    digests: tuple[str, ...] = ()


class Child(Protocol):
    """A started process with its descendants, its output in two files."""

    @property
    def stdout(self) -> Path:
        """The file of its standard output."""
        ...

    @property
    def stderr(self) -> Path:
        """The file of its standard error."""
        ...

    @property
    def exit_code(self) -> int | None:
        """None while it runs; negative is the number of the signal that ended it."""
        ...

    @property
    def flags(self) -> tuple[str, ...]:
        """Limits of its sandbox that it ran into (oom, pids). Final after ``stop``."""
        ...

    @property
    def cpu_seconds(self) -> float | None:
        """Processor seconds of it and its descendants so far; None if it has ended, or if that
        can't be told."""
        ...

    def stop(self, seconds: float) -> str:
        """End it with all its descendants: SIGTERM, after ``seconds`` SIGKILL. Return in words how
        it ended. Raises InfraFault if it can't be ended or its output can't be written."""
        ...


class Place(NamedTuple):
    """The surroundings of a process. ``role`` is server, client, probe, judge, smoke or rebuild;
    ``beside`` is the process with the network to share; ``gpus`` are names for the runtime;
    ``keep`` are descriptors that stay open while it lives (the locks of its GPU slots); ``reads``
    are files and folders that it can read, ``writes`` files that it can write."""

    commit: str
    arm: str
    role: str
    beside: Child | None = None
    gpus: tuple[str, ...] = ()
    keep: tuple[int, ...] = ()
    reads: tuple[Path, ...] = ()
    writes: tuple[Path, ...] = ()


class Runtime(Protocol):
    """A way to run arms. Images are content-addressed: equal inputs give an equal name."""

    name: str

    def image(self, task: Task, arm: str, patch_sha256: str | None) -> str:
        """Return the name of an arm's image."""
        ...

    def exists(self, image: str) -> bool:
        """Return True if the image exists."""
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
        was: Sequence[str] = (),
    ) -> ImageFacts:
        """Make the image if it does not exist; ``was`` are the layers of an image that is made
        again. Raises BuildFailed, ImageMissing (also if a prebuilt image has other layers now),
        InfraFault if the machine is to blame, Stopped."""
        ...

    def room(self, task: Task, arm: str, guard: Guard) -> AbstractContextManager[None]:
        """Wait for disk space for an arm's image and keep it for the body. Raises InfraFault if
        there is none, Stopped."""
        ...

    def using(self, task: Task, guard: Guard) -> AbstractContextManager[None]:
        """Keep the images of the task's commit on this machine for the body."""
        ...

    def remove(self, task: Task) -> list[str]:
        """Remove all images of the task's commit; return their names."""
        ...

    def clean(self) -> list[str]:
        """Remove leftovers of dead runs (processes, containers, torn images); return their
        names."""
        ...

    def disks(self) -> list[Path]:
        """Return folders on the file systems that hold images."""
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
        """Start a process in the image. Raises InfraFault if it can't be started."""
        ...

    def start_judge(
        self, words: Sequence[str], *, stdout: Path, stderr: Path, place: Place
    ) -> Child:
        """Start the judge with ``words`` as its arguments. No code, environment or GPU of the
        subject is there. It may write into named pipes in place of ``place.writes``. Raises
        InfraFault if it can't be started."""
        ...

    def inside(self, path: Path) -> str:
        """Return the path inside an image of a file that a process reads or writes."""
        ...

    def python(self, task: Task) -> str:
        """Return the interpreter that runs the subject."""
        ...

    def tree(self, task: Task, image: str) -> str:
        """Return the folder of the subject's files for a process in the image, with a slash."""
        ...
