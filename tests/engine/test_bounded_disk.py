"""Many commits on a small disk: the lease bounds what lies there, and the GPU does not wait."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from patchbench.runtimes.docker import labels
from tests.engine import many
from tests.engine.conftest import SLOW, on_engine
from tests.engine.engines import PrivateEngine, SmallDisk
from tests.workflow.conftest import copy_project

pytestmark = pytest.mark.engine

COMMITS, SLOTS = (24, 3) if SLOW else (3, 2)
BALLAST_MB, DISK_MB, RESERVE_MB = 60, 760, 120
# A simulated GPU works so long per launch. Real launches take minutes; the share of the time that
# goes into starting jobs shrinks with that.
GPU_SECONDS = 6.0 if SLOW else 0.3


@pytest.fixture
def small(tmp_path: Path, can_start_engines: None) -> Iterator[tuple[PrivateEngine, SmallDisk]]:
    """An engine on a file system of a few hundred MiB."""
    disk = SmallDisk(tmp_path, "disk", DISK_MB)
    engine = PrivateEngine(disk.path / "root")
    try:
        yield engine.start(), disk
    finally:
        engine.stop()
        disk.unmount()


class Watcher(threading.Thread):
    """Records commits with images and free bytes while a run goes on."""

    def __init__(self, engine: PrivateEngine, disk: SmallDisk) -> None:
        super().__init__(daemon=True)
        self.engine, self.disk = engine, disk
        self.seen: list[tuple[int, int]] = []
        self.over = threading.Event()
        self.start()

    def run(self) -> None:
        """Sample until told to end."""
        client = self.engine.client()
        while not self.over.is_set():
            images = client.api.images(filters={"label": labels.CAMPAIGN})
            commits = {i["Labels"].get(labels.COMMIT) for i in images if _named(i)} - {None}
            self.seen.append((len(commits), self.disk.free))
            time.sleep(0.1)

    def finish(self) -> tuple[int, int]:
        """Return the most commits at a time and the least free bytes."""
        self.over.set()
        self.join()
        return max(n for n, _ in self.seen), min(free for _, free in self.seen)


def _named(image: dict[str, list[str] | None]) -> bool:
    return any(not name.startswith("<none>") for name in image.get("RepoTags") or ())


def test_the_lease_bounds_the_disk_and_keeps_the_gpu_busy(
    tmp_path: Path, small: tuple[PrivateEngine, SmallDisk], base_archive: Path
) -> None:
    engine, disk = small
    project = on_engine(copy_project(tmp_path / "project"), engine, base_archive)
    rules = {"image_slots": SLOTS, "reserve_mb": RESERVE_MB, "reserve_inodes": 100}
    args = many.make(
        project, COMMITS, ballast_mb=BALLAST_MB, gpu_seconds=GPU_SECONDS, patched=False, disk=rules
    )
    watcher = Watcher(engine, disk)
    done = project.snakemake(*args)
    commits, free = watcher.finish()
    assert done.returncode == 0, done.stderr[-4000:]
    share = project.busy_share()
    print(f"{commits} commits at most, {free >> 20} MiB free at least, GPU busy {share:.0%}")
    assert commits <= SLOTS
    assert free >= RESERVE_MB << 20
    if SLOW:  # few short blocks say nothing of a campaign's share
        assert share >= 0.85
    assert len(project.finished()) == 3 * COMMITS  # the agent's arm is passed on: no patch
    assert set(project.finished().values()) == {1}
    assert not [t for i in engine.client().images.list() for t in i.tags if "-base:" not in t]
