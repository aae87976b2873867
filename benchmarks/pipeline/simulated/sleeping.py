"""The stages of a GPU campaign with everything real but the engine and the GPU, which sleep.

A stage's script is run as it stands, with two things in other hands: images are files in a folder
(the lease decides over them as it does over an engine's), and a launch is a sleep of the seconds
that a real one would take, divided by the time scale.
"""

from __future__ import annotations

import json
import os
import runpy
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import patchbench.runtimes
from patchbench.benchmark import launch
from patchbench.benchmark.context import LaunchContext
from patchbench.images import smoke
from patchbench.records import BASELINE, Phase, Task
from patchbench.runtimes.base import Made
from patchbench.runtimes.docker import labels, lease
from patchbench.runtimes.docker.image_store import ARM, PARENT, Image, Store
from patchbench.system import disk
from patchbench.system.files import append_line, digest, write_json
from patchbench.system.processes import Guard, wait_until

SETTINGS = "PATCHBENCH_SIMULATED"
LAUNCHES = "launches.jsonl"


class Settings(NamedTuple):
    """Seconds as they are in reality, and by how much they are divided here."""

    scale: float
    launch: float
    parent_image: float
    arm_image: float
    # Bytes: of each image, and of the engine's disk.
    parent_bytes: int
    arm_bytes: int
    disk_bytes: int
    result: dict[str, float]


def settings() -> Settings:
    """Those of this run."""
    return Settings(**json.loads(os.environ[SETTINGS]))


def varied(seconds: float, *names: object) -> float:
    """Seconds that differ by up to a fifth, the same each time for the same thing."""
    drawn = int(digest(list(map(str, names)), 8), 16) / 16**8
    return seconds * (0.8 + 0.4 * drawn) / settings().scale


def wait(seconds: float, guard: Guard) -> None:
    """Sleep, but end when told to."""
    end = time.monotonic() + seconds
    wait_until(lambda: time.monotonic() >= end, seconds + 1, guard, tick=min(seconds, 0.25))


class Folder(Store):
    """Images as files: what the lease asks of an engine."""

    def __init__(self, results: Path) -> None:
        self.root = Path(os.environ["PATCHBENCH_LOCKS"]) / "images-of-nobody"
        self.root.mkdir(parents=True, exist_ok=True)
        super().__init__(SimpleNamespace(root=self.root), results)  # type: ignore[arg-type]

    def images(self, *, campaign: bool = True, commit: str = "") -> list[Image]:
        """All images, or those of a commit."""
        found = []
        for path in self.root.glob(f"{commit or '[!.]*'}.*"):
            try:
                size, born = path.read_text().split()
            except (FileNotFoundError, ValueError):
                continue  # just removed, or just being written
            of, _, arm = path.name.partition(".")
            kind = PARENT if arm == BASELINE else ARM
            told = {labels.COMMIT: of, labels.ARM: arm, labels.KIND: kind}
            name = f"patchbench/{path.name}"
            found.append(Image(path.name, (name,), told, float(born), int(size)))
        return found

    def add(self, commit: str, arm: str, size: int) -> None:
        """Store an image."""
        (self.root / f"{commit}.{arm}").write_text(f"{size} {time.time()}")

    def _remove(self, name: str) -> bool:
        (self.root / name.removeprefix("patchbench/")).unlink(missing_ok=True)
        return True


class Sleeping:
    """A runtime that stores names and lets time pass."""

    name = "docker"

    def __init__(self, task: Task, results: Path) -> None:
        self.store = Folder(results)

    def image(self, task: Task, arm: str, patch_sha256: str | None) -> str:
        """A name that the store knows."""
        return f"patchbench/{task.commit}.{arm}"

    def exists(self, image: str) -> bool:
        """Whether it is stored."""
        return (self.store.root / image.removeprefix("patchbench/")).exists()

    def room(self, task: Task, arm: str, guard: Guard) -> AbstractContextManager[None]:
        """The real lease."""
        return lease.Lease(task, self.store, arm).held(guard)

    def build(
        self, task: Task, arm: str, image: str, patch: Any, repo: Any, log: Any, guard: Guard
    ) -> Made:
        """Take the time of a build."""
        given, parent = settings(), arm == BASELINE
        seconds = given.parent_image if parent else given.arm_image
        wait(varied(seconds, task.commit, arm), guard)
        size = given.parent_bytes if parent else given.arm_bytes
        self.store.add(task.commit, arm, size)
        return Made(image_id=image, size=size, own_size=size)

    def remove(self, task: Task) -> list[str]:
        """Remove a commit's images."""
        gone = self.store.remove(self.store.images(commit=task.commit))
        lease.record(self.store, "released", commit=task.commit)
        return gone

    def using(self, task: Task, guard: Guard) -> AbstractContextManager[None]:
        """Nobody takes an image away that a block uses."""
        return nullcontext()

    def clean(self) -> list[str]:
        """Nothing is ever left."""
        return []

    def disks(self) -> list[Path]:
        """The engine's."""
        return [self.store.root]

    def tree(self, task: Task, image: str) -> str:
        """There are no trees."""
        return "/opt/idle/"


def launched(given: LaunchContext) -> tuple[Phase, ...]:
    """A launch that takes its time, leaves a result, and is written down."""
    began = time.time()
    block = given.folder.parent.name
    seconds = varied(settings().launch, given.task.commit, block, given.arm)
    wait(seconds, given.guard)
    write_json(given.folder / "result.json", settings().result)
    (given.folder / "bench.stdout").touch()
    (given.folder / "bench.stderr").touch()
    told = {
        "slot": given.gpus[0],
        "block": f"{given.task.commit}/{block}",
        "began": began,
        "ended": time.time(),
        "seconds": seconds,
    }
    append_line(given.runtime.store.results / LAUNCHES, json.dumps(told).encode())  # type: ignore[attr-defined]
    return (Phase(name="benchmark", status="ok", seconds=seconds, exit_code=0),)


def measured(real: Callable[[Path], disk.Space]) -> Callable[[Path], disk.Space]:
    """The engine's disk as full as its images make it."""

    def measure(path: Path) -> disk.Space:
        found, root = real(path), Path(os.environ["PATCHBENCH_LOCKS"]) / "images-of-nobody"
        if path != root:
            return found
        total = settings().disk_bytes
        used = sum(image.size for image in Folder(root).images())
        return found._replace(path=root, free=total - used, total=total)

    return measure


def run(script: Path) -> None:
    """Run a stage's script with the engine and the GPU asleep."""
    patchbench.runtimes.open_runtime = Sleeping  # type: ignore[assignment]
    smoke.test = lambda *_: None  # type: ignore[assignment]
    smoke.versions = lambda *_: {}  # type: ignore[assignment]
    launch.run = launched
    disk.measure = measured(disk.measure)
    runpy.run_path(str(script), run_name="__main__")
