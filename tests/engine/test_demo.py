"""The demo on a real engine: the same classes as with plain processes, and nothing left behind."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

from tests.engine.conftest import on_engine
from tests.engine.engines import PrivateEngine
from tests.engine.test_images import foreign_image
from tests.workflow.conftest import copy_project
from tests.workflow.project import Project
from tests.workflow.test_demo import FAILURES, ended, expected

pytestmark = pytest.mark.engine

OPTIONS = ("--cores", "4", "--resources", "gpu=1", "--config", "runtime=docker")


@pytest.fixture(scope="module")
def demo(
    tmp_path_factory: pytest.TempPathFactory, engine: PrivateEngine, base_archive
) -> Iterator[Project]:
    """The demo worked off in containers, beside an image and a container of somebody else."""
    foreign_image(engine, "somebody/else:1")
    theirs = engine.client().api.create_container("somebody/else:1", ["/hello"], name="theirs")
    made = on_engine(
        copy_project(tmp_path_factory.mktemp("docker") / "project"), engine, base_archive
    )
    done = made.snakemake(*OPTIONS, timeout=900)
    sys.stderr.write(done.stderr[-4000:])
    assert done.returncode == 0, done.stderr[-4000:]
    yield made
    engine.client().api.remove_container(theirs["Id"])
    engine.client().images.remove("somebody/else:1")


def kind(ending: str) -> str:
    """The class of an ending: a failure by its name, or measured. How fast a patch is stands for
    itself in the demo of plain processes; here the machine may be noisier."""
    return ending if ending in FAILURES or ending == "excluded" else "measured"


def test_every_patch_ends_in_its_class(demo: Project) -> None:
    outcomes = {(r["commit"][:8], r["arm"]): r for r in demo.table("outcomes")}
    against = {
        (r["commit"][:8], r["arm"]): r["verdict"]
        for r in demo.table("comparisons")
        if r["role"] == "human"
    }
    wanted = {(c["commit"], c["agent"]): c["ending"] for c in expected()}
    found = {key: ended(outcomes[key], against.get(key)) for key in wanted}
    assert {k: kind(v) for k, v in found.items()} == {k: kind(v) for k, v in wanted.items()}
    # What must never come out of a patch without effect, or of a slower one, is a speedup.
    for key, ending in wanted.items():
        if ending in ("no_effect", "slower"):
            assert outcomes[key]["verdict"] != "faster"
        if ending == "as_good_as_human":
            assert outcomes[key]["verdict"] in ("faster", "inconclusive")
    human = [r for r in outcomes.values() if r["arm"] == "human" and r["status"] == "measured"]
    assert len(human) == 6
    assert sum(r["verdict"] == "faster" for r in human) >= 5


def test_nothing_of_ours_is_left_but_the_base(demo: Project, engine: PrivateEngine) -> None:
    client = engine.client()
    assert [c.name for c in client.containers.list(all=True)] == ["theirs"]
    tags = [tag for image in client.images.list() for tag in image.tags]
    assert [t for t in tags if not t.startswith("patchbench/tinyserve-base:")] == [
        "somebody/else:1"
    ]
    assert not client.images.list(filters={"dangling": True})
    assert {n.name for n in client.networks.list()} <= {"none", "host", "bridge"}
    assert not client.volumes.list()
    assert not demo.processes()


def test_runs_say_what_they_ran_in(demo: Project) -> None:
    runs = [r for r in demo.table("runs") if r["launched"]]
    assert {r["image"].split(":")[0] for r in runs} == {"patchbench/tinyserve"}


def test_the_disk_was_watched(demo: Project) -> None:
    from patchbench.ledger.disk_log import read as events

    seen = events(demo.results)
    assert {"build", "built", "released"} <= {e.event for e in seen}
    assert all(e.engine_free > 0 and e.results_free > 0 for e in seen)
    assert max(e.commits for e in seen) <= 3


def test_a_dry_run_plans_nothing(demo: Project) -> None:
    assert demo.plans_nothing(*OPTIONS)
