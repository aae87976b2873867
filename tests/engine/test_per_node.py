"""Images of a cluster's node: unused ones make room, the others stay."""

from __future__ import annotations

import msgspec
import pytest

from patchbench.errors import InfraFault
from patchbench.records import BASELINE
from patchbench.runtimes.docker.runtime import DockerRuntime
from patchbench.system import slurm
from patchbench.system.files import write_json
from tests.engine.engines import PrivateEngine
from tests.engine.patches import repository
from tests.engine.tasks import Bench, docker_task
from tests.workflow.project import Project

pytestmark = pytest.mark.engine

RULES = {"image_slots": 1, "wait": 1, "patience": 1, "reserve_mb": 8, "reserve_inodes": 10}


@pytest.fixture
def two(
    docker_project: Project, engine: PrivateEngine, monkeypatch: pytest.MonkeyPatch
) -> tuple[Bench, Bench]:
    """Images of two commits on a machine with room for those of one."""
    monkeypatch.chdir(docker_project.folder)
    monkeypatch.setenv("PATCHBENCH_LOCKS", docker_project.env["PATCHBENCH_LOCKS"])
    monkeypatch.setenv(slurm.PER_NODE, "yes")
    repository(docker_project)
    task = docker_task(docker_project, engine.url, disk=RULES)
    other = msgspec.structs.replace(task, commit="0" * 40)
    benches = Bench(docker_project, task), Bench(docker_project, other)
    yield benches
    for bench in benches:
        bench.runtime.remove(bench.task)


def admitted(bench: Bench) -> str:
    """Make the baseline's image under the machine's lease, as a job does."""
    with bench.runtime.room(bench.task, BASELINE, bench.guard):
        name, _ = bench.make()
    return name


def there(bench: Bench, name: str) -> bool:
    return DockerRuntime(bench.task, bench.project.results).exists(name)


def test_images_that_no_job_here_uses_make_room(two: tuple[Bench, Bench]) -> None:
    one, other = two
    name = admitted(one)
    assert there(one, name)
    newer = admitted(other)
    assert not there(one, name)
    assert there(other, newer)


def test_images_in_use_are_left_alone(two: tuple[Bench, Bench]) -> None:
    one, other = two
    with one.runtime.using(one.task, one.guard):
        name = admitted(one)
        with pytest.raises(InfraFault, match="1 of 1 image slots are taken"):
            admitted(other)
        assert there(one, name)
        with one.runtime.using(one.task, one.guard):  # a second block of the commit
            assert there(one, name)
    admitted(other)
    assert not there(one, name)


def test_on_one_machine_images_wait_for_their_blocks(
    two: tuple[Bench, Bench], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(slurm.PER_NODE)
    one, other = two
    name = admitted(one)
    with pytest.raises(InfraFault, match="1 of 1 image slots are taken"):
        admitted(other)
    assert there(one, name)


def test_images_of_commits_that_are_done_go_with_the_next_job(two: tuple[Bench, Bench]) -> None:
    one, other = two
    released = one.project.results / "images" / one.task.commit / "released.json"
    name = admitted(one)
    write_json(released, {})
    with one.runtime.using(one.task, one.guard):
        assert there(one, name)  # measured again: its own block uses them
    assert not there(one, name)
    name = admitted(one)
    assert not released.exists()  # a job that makes them has work for them
    write_json(released, {})  # another machine had that work
    with other.runtime.using(other.task, other.guard):
        assert not there(one, name)
