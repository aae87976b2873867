"""One task of the demo on a real engine: its four endings, and nothing left behind."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from patchbench.ledger import disk_log
from tests.engine.conftest import SLOW, on_engine
from tests.engine.engines import PrivateEngine
from tests.engine.test_images import foreign_image
from tests.workflow.conftest import copy_project
from tests.workflow.endings import check, expected
from tests.workflow.project import Project

pytestmark = pytest.mark.engine

# Its patches are measured, answer wrongly, and crash under load; the human's commit is measured.
TASK = "c5d882c7"


@pytest.fixture(scope="module")
def options() -> list[str]:
    """The options of the campaign's command, once it is written."""
    return []


@pytest.fixture(scope="module")
def demo(
    tmp_path_factory: pytest.TempPathFactory,
    engine: PrivateEngine,
    base_archive: Path,
    options: list[str],
) -> Iterator[Project]:
    """The task worked off in containers, beside an image and a container of another user."""
    foreign_image(engine, "another/user:1")
    theirs = engine.client().api.create_container("another/user:1", ["/hello"], name="theirs")
    project = on_engine(
        copy_project(tmp_path_factory.mktemp("docker") / "project"), engine, base_archive
    )
    agents = {n: {"patches": f"examples/tinyserve/agents/{n}"} for n in ("alba", "brio", "corso")}
    blocks = 2 if SLOW else 1
    options += project.small_config(task=TASK, blocks=blocks, runtime="docker", agents=agents)
    done = project.snakemake(*options)
    sys.stderr.write(done.stderr[-4000:])
    assert done.returncode == 0, done.stderr[-4000:]
    for _ in range(3):
        if project.forget_late_blocks():
            assert project.snakemake(*options).returncode == 0
    yield project
    engine.client().api.remove_container(theirs["Id"])
    engine.client().images.remove("another/user:1")


def test_every_patch_ends_as_its_author_meant(demo: Project) -> None:
    check(demo, [(key, ending) for key, ending in expected().items() if key[0] == TASK])


def test_nothing_of_ours_is_left_but_bases(demo: Project, engine: PrivateEngine) -> None:
    client = engine.client()
    assert [c.name for c in client.containers.list(all=True)] == ["theirs"]
    tags = [tag for image in client.images.list() for tag in image.tags]
    assert [t for t in tags if "-base:" not in t] == ["another/user:1"]
    assert not client.images.list(filters={"dangling": True})
    assert {n.name for n in client.networks.list()} <= {"none", "host", "bridge"}
    assert not client.volumes.list()
    assert not demo.processes()


def test_runs_name_the_image_that_they_ran_in(demo: Project) -> None:
    runs = [r for r in demo.table("runs") if r["launched"]]
    assert {r["image"].split(":")[0] for r in runs} == {"patchbench/tinyserve"}


def test_the_disk_was_watched(demo: Project) -> None:
    seen = disk_log.read(demo.results)
    assert {"build", "built", "released"} <= {e.event for e in seen}
    assert all(e.engine_free > 0 and e.results_free > 0 for e in seen)
    assert {e.commits for e in seen} <= {0, 1}


def test_a_dry_run_plans_nothing(demo: Project, options: list[str]) -> None:
    assert demo.plans_nothing(*options)
