"""Disks that fill up for real: the run ends with the cause, and the same command finishes later."""

from __future__ import annotations

import random
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.engine import many
from tests.engine.conftest import SLOW, on_engine
from tests.engine.engines import PrivateEngine, SmallDisk
from tests.workflow.conftest import copy_project
from tests.workflow.project import LONG, Project, wait_for

pytestmark = pytest.mark.engine

COMMITS, BLOCKS, BALLAST_MB = 2, 2 if SLOW else 1, 20
# One seed per repetition: the moment of the fault is drawn from it.
SEEDS = (1, 2, 3)
slow = pytest.mark.skipif(not SLOW, reason="PATCHBENCH_SLOW is not set")


class Place:
    """A project that keeps results and the engine's data on small disks."""

    def __init__(self, folder: Path, archive: Path) -> None:
        self.engine_disk = SmallDisk(folder, "engine-disk", 520)
        self.results_disk = SmallDisk(folder, "results-disk", 48)
        self.engine = PrivateEngine(self.engine_disk.path / "root").start()
        self.project = on_engine(copy_project(folder / "project"), self.engine, archive)
        # Snakemake's own notes lie beside the results, as they do for a person with one disk.
        for name in ("results", ".snakemake"):
            (self.results_disk.path / name).mkdir()
            (self.project.folder / name).symlink_to(self.results_disk.path / name)
        rules = {
            "image_slots": 3,
            "reserve_mb": 8,
            "reserve_inodes": 10,
            "outcomes_mb": 4,
            "patience": 2,
        }
        self.args = many.make(
            self.project,
            COMMITS,
            ballast_mb=BALLAST_MB,
            gpu_seconds=0.3,
            disk=rules,
            blocks=BLOCKS,
        )

    def close(self) -> None:
        """Stop the engine and remove the disks."""
        self.engine.stop()
        for disk in (self.engine_disk, self.results_disk):
            disk.unmount()


@pytest.fixture
def place(tmp_path: Path, can_start_engines: None, base_archive: Path):
    made = Place(tmp_path, base_archive)
    yield made
    made.close()


def fault(project: Project, args: list[str], when: Callable[[], bool], strike: Callable[[], None]):
    """Start a run, strike at a moment and wait for its end. Returns output and exit code."""
    process = project.start(*args)
    try:
        wait_for(lambda: when() or process.poll() is not None)
        assert process.poll() is None, "it ended before the fault"
        strike()
        process.wait(LONG)
    finally:
        if process.poll() is None:
            process.kill()
    return (project.folder / "started.log").read_text(errors="replace"), process.returncode


def finishes(project: Project, args: list[str]) -> None:
    """Give the same command again: it ends well and repeats no finished launch."""
    before = project.finished()
    done = project.snakemake(*args)
    assert done.returncode == 0, done.stderr[-3000:]
    assert set(project.finished().values()) == {1}
    assert not before - project.finished()
    outcomes = project.table("outcomes")
    assert {r["status"] for r in outcomes} == {"measured"}, outcomes
    assert (project.results / "report.md").is_file()


def blamed(project: Project) -> list[dict[str, object]]:
    """Return the failures in the records of images."""
    import json

    files = [*(project.results / "images").glob("*/*.json")]
    records = [json.loads(f.read_text()) for f in files if f.name != "released.json"]
    return [r for r in records if r["status"] != "ok"]


def agents_turn(project: Project) -> bool:
    """Return True while the agent's arm runs and a baseline has worked before."""
    events = sorted(project.journal(), key=lambda e: e["at"])
    done = any(e["event"] == "run_finished" and e["arm"] == "baseline" for e in events)
    return bool(done and events[-1]["event"] == "run_started" and events[-1]["arm"] == "one")


MOMENTS: dict[str, Callable[[Project], bool]] = {
    "at the first build": lambda p: (p.results / "tasks").is_dir(),
    "in a block": lambda p: any(e["event"] == "run_started" for e in p.journal()),
    "in an agent's turn": agents_turn,
    "after some runs": lambda p: len(p.finished()) >= 3,
}


@slow
@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("which", ["both", "engine", "results"])
def test_a_full_disk_costs_nothing_but_time(place: Place, which: str, seed: int) -> None:
    draw = random.Random(f"{which}-{seed}")
    name = draw.choice(list(MOMENTS))
    delay = draw.uniform(0, 2)
    project = place.project
    ballast: list[Path] = []

    def strike() -> None:
        time.sleep(delay)
        if which in ("engine", "both"):
            ballast.append(place.engine_disk.fill())
        if which in ("results", "both"):
            ballast.append(place.results_disk.fill())

    output, code = fault(project, place.args, lambda: MOMENTS[name](project), strike)
    assert code != 0, output[-3000:]
    # When Snakemake's own notes can't be written any more, it says so in its own words.
    assert "infra.disk_full" in output or "No space left on device" in output, output[-3000:]
    assert not blamed(project)
    for path in ballast:
        path.unlink()
    finishes(project, place.args)
    left = place.engine.client().containers.list(all=True)
    assert not left, [c.name for c in left]


@slow
def test_no_inodes_left_is_a_full_disk(place: Place) -> None:
    project = place.project
    crumbs = place.results_disk.path / "crumbs"
    crumbs.mkdir()

    def use_up() -> None:
        number = 0
        try:
            while True:
                (crumbs / str(number)).touch()
                number += 1
        except OSError:
            return

    output, code = fault(project, place.args, lambda: MOMENTS["in a block"](project), use_up)
    assert code != 0
    assert "disk_full" in output or "No space left" in output, output[-2000:]
    shutil.rmtree(crumbs)
    finishes(project, place.args)


def test_a_disk_too_small_for_one_image_ends_the_run_early(place: Place) -> None:
    project = place.project
    place.engine_disk.fill(leave=30 << 20)
    done = project.snakemake(*place.args)
    assert done.returncode != 0
    assert "infra.disk_full" in done.stderr
    assert "MiB" in done.stderr
    # The run ends before every job of the queue has found that out for itself.
    assert done.stderr.count("patchbench: infra.") <= 12, done.stderr
    assert not blamed(project)
    (place.engine_disk.path / "ballast").unlink()
    finishes(project, place.args)


def test_the_engine_dies_in_a_build_and_in_a_block(place: Place) -> None:
    project, engine = place.project, place.engine
    building = project.results / "logs" / "build_image"
    output, code = fault(project, place.args, building.is_dir, engine.kill)
    assert code != 0
    assert "infra.engine" in output, output[-2000:]
    engine.start()
    output, code = fault(project, place.args, lambda: agents_turn(project), engine.kill)
    assert code != 0
    assert "infra.engine" in output, output[-2000:]
    assert not blamed(project)
    engine.start()
    finishes(project, place.args)
    assert not engine.client().containers.list(all=True)
    dangling = engine.client().images.list(filters={"dangling": True})
    assert not dangling
