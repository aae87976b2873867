"""Images from a real registry: pulled, released again, and the blame if none comes."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from patchbench.errors import InfraFault, Stopped
from patchbench.runtimes import ImageMissing
from patchbench.runtimes.docker.bases import base_name
from patchbench.runtimes.docker.engine import Engine
from patchbench.runtimes.docker.image_maker import Maker
from patchbench.runtimes.docker.layers import SNAPSHOTTER
from patchbench.runtimes.docker.pulling import run_pull
from patchbench.system.processes import Guard
from tests.engine import registry as registries
from tests.engine.conftest import REQUIRED
from tests.engine.engines import PrivateEngine, SmallDisk
from tests.engine.registry import Registry
from tests.engine.tasks import Bench, docker_task
from tests.engine.test_images import numbered

pytestmark = pytest.mark.engine

NUMBER = "import tinyserve.config as c; print(c.NUMBER)"


@pytest.fixture(scope="module")
def registry(engine: PrivateEngine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """A registry beside the session's engine."""
    if reason := registries.why_not():
        if os.environ.get(REQUIRED):
            pytest.fail(f"{REQUIRED} is set: {reason}")
        pytest.skip(reason)
    own = Registry(engine, tmp_path_factory.mktemp("registry") / "store", 5000)
    try:
        yield own.start()
    finally:
        own.stop()


def random_image(engine: PrivateEngine, name: str, megabytes: int) -> str:
    """Make an image of bytes that can't be compressed; return its name."""
    import io
    import tarfile

    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as tar:
        content = tarfile.TarInfo("content")
        content.size = megabytes << 20
        tar.addfile(content, io.BytesIO(os.urandom(content.size)))
    repository_, _, tag = name.partition(":")
    engine.client().api.import_image_from_data(data.getvalue(), repository=repository_, tag=tag)
    return name


def tags(engine: PrivateEngine) -> set[str]:
    return {tag for image in engine.client().images.list() for tag in image.tags}


def ids(engine: PrivateEngine) -> set[str]:
    """Return the ids of all images, with or without a name."""
    return {image.id for image in engine.client().images.list(all=True)}


def test_a_base_comes_from_a_registry(
    bench: Bench, engine: PrivateEngine, registry: Registry
) -> None:
    bench.make()
    theirs = registry.push(base_name(bench.task), "engines/base:1")
    recipe = bench.project.folder / "envs/images/tinyserve/recipe.yaml"
    loaded = yaml.safe_load(recipe.read_text())
    loaded["base"] = {"image": theirs, "pull": True}
    recipe.write_text(yaml.safe_dump(loaded))
    own_bench = Bench(bench.project, docker_task(bench.project, engine.url))
    _, facts = own_bench.make()
    assert theirs in tags(engine)  # a base stays for the next campaign
    # The registry's own digest, by which a pull gets these very bytes again.
    assert facts.made_from.startswith(f"{theirs.rpartition(':')[0]}@sha256:")
    arm, _ = own_bench.make("agent0", numbered(own_bench, 3))
    assert own_bench.output(arm, "-c", NUMBER) == "3"
    assert f"== pull {theirs}" in (bench.project.folder / "build.log").read_text()
    own_bench.runtime.remove(own_bench.task)
    engine.client().images.remove(theirs)


def prebuilt(
    bench: Bench, engine: PrivateEngine, registry: Registry, folder: str
) -> tuple[Bench, str]:
    """Return the task with its parent's image in the registry alone, and that image's name."""
    parent, _ = bench.make()
    name = f"{folder}/tinyserve:baseline-"
    theirs = registry.push(parent, f"{name}{bench.task.parent[:12]}")
    bench.runtime.remove(bench.task)
    images = {"tinyserve": {"baseline": f"{registry.name}/{name}{{parent:.12}}", "pull": True}}
    return Bench(bench.project, docker_task(bench.project, engine.url, images=images)), theirs


def test_a_commits_own_image_is_pulled_and_released_whole(
    bench: Bench, engine: PrivateEngine, registry: Registry
) -> None:
    """One image per commit of tens of GB, as the predecessor's users have them."""
    own_bench, theirs = prebuilt(bench, engine, registry, "engines")
    before = tags(engine), ids(engine)
    own_bench.make()
    assert theirs not in tags(engine)
    arm, _ = own_bench.make("agent0", numbered(own_bench, 4))
    assert own_bench.output(arm, "-c", NUMBER) == "4"
    own_bench.runtime.remove(own_bench.task)
    assert (tags(engine), ids(engine)) == before


def test_a_kill_right_after_a_pull_leaves_no_name_behind(
    bench: Bench, engine: PrivateEngine, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    own_bench, theirs = prebuilt(bench, engine, registry, "killed")
    before = tags(engine), ids(engine)
    for place in ("_build_from", "_labels"):
        with monkeypatch.context() as patched:
            patched.setattr(Maker, place, _killed)
            with pytest.raises(KeyboardInterrupt):
                own_bench.make()
        assert theirs in tags(engine)
    own_bench.make()
    assert theirs not in tags(engine)
    own_bench.runtime.remove(own_bench.task)
    assert (tags(engine), ids(engine)) == before


def _killed(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


def test_the_same_command_asks_again_for_an_image_that_was_missing(
    bench: Bench, registry: Registry
) -> None:
    project, parent = bench.project, bench.make()[0]
    name = "late/tinyserve:baseline-"
    images = {"tinyserve": {"baseline": f"{registry.name}/{name}{{parent:.12}}", "pull": True}}
    args = project.small_config(runtime="docker", images=images)
    config = yaml.safe_load((project.folder / "small.yaml").read_text())
    config["protocol"] |= {"blocks": 1, "aa_blocks": 0}
    (project.folder / "small.yaml").write_text(yaml.safe_dump(config))

    def endings() -> dict[str, tuple[str, str | None, str | None]]:
        rows = project.table("outcomes")
        return {row["arm"]: (row["status"], row["cause"], row["blame"]) for row in rows}

    done = project.snakemake(*args)
    assert done.returncode == 0, done.stderr[-3000:]
    assert set(endings().values()) == {("failed", "image.missing", "infra")}
    # The same command would ask again, and a dry run says so.
    assert not project.plans_nothing(*args)
    theirs = registry.push(parent, f"{name}{bench.task.parent[:12]}")
    done = project.snakemake(*args)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "making 4 record(s) anew of images that were missing" in done.stderr
    measured = ("measured", None, None)
    assert {arm: endings()[arm] for arm in ("baseline", "human", "alba")} == dict.fromkeys(
        ("baseline", "human", "alba"), measured
    )
    assert endings()["brio"][1] == "patch.import"
    (task,) = project.results.glob("images/*/baseline.json")
    assert theirs.rpartition(":")[0] in task.read_text()
    assert project.plans_nothing(*args)


def test_an_image_built_by_hand_after_it_was_missing_stays(
    bench: Bench, engine: PrivateEngine
) -> None:
    parent, _ = bench.make()
    theirs = f"by-hand/tinyserve:{bench.task.parent[:12]}"
    for pulled in (False, True):
        images = {"baseline": "by-hand/tinyserve:{parent:.12}", "pull": pulled}
        task = docker_task(bench.project, engine.url, images={"tinyserve": images})
        with pytest.raises((ImageMissing, InfraFault)):
            Bench(bench.project, task).make()
    engine.client().images.get(parent).tag(*theirs.split(":"))
    late = Bench(bench.project, task)
    late.make()
    late.runtime.remove(late.task)
    assert theirs in tags(engine)
    engine.client().images.remove(theirs)


def test_a_commit_whose_images_are_made_again_is_finished_no_longer(bench: Bench) -> None:
    """Otherwise the next commit's build would remove its images before they were measured."""
    bench.make()
    released = bench.project.results / "images" / bench.task.commit / "released.json"
    released.parent.mkdir(parents=True, exist_ok=True)
    released.touch()
    with bench.runtime.room(bench.task, "agent0", bench.guard):
        assert not released.exists()


def test_a_credential_helper_sees_what_it_needs(
    engine: PrivateEngine, registry: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    helper = tmp_path / "docker-credential-keys"
    helper.write_text(
        '#!/bin/sh\n[ "$SOMEBODYS_KEY" = abc ] || { echo "no key"; exit 1; }\n'
        'echo \'{"ServerURL": "x", "Username": "somebody", "Secret": "else"}\'\n'
    )
    helper.chmod(0o755)
    (tmp_path / "config.json").write_text('{"credsStore": "keys"}')
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    name = f"{registry.name}/engines/none:1"
    with pytest.raises(InfraFault, match=r"infra\.auth .* log in to the registry"):
        pull(engine, name, tmp_path, Guard())
    monkeypatch.setenv("SOMEBODYS_KEY", "abc")
    with pytest.raises(ImageMissing):
        pull(engine, name, tmp_path, Guard())


def pull(engine: PrivateEngine, name: str, folder: Path, guard: Guard, seconds: float = 60) -> None:
    run_pull(Engine(engine.url), name, seconds=seconds, guard=guard, log=folder / "pull.log")


def test_an_image_that_is_not_there_is_missing_in_the_registrys_words(
    engine: PrivateEngine, registry: Registry, tmp_path: Path
) -> None:
    name = f"{registry.name}/engines/none:1"
    with pytest.raises(ImageMissing, match=f"{name}.*(manifest unknown|not found)"):
        pull(engine, name, tmp_path, Guard())


def test_a_registry_that_wants_a_login_is_no_missing_image(
    engine: PrivateEngine, registry: Registry, tmp_path: Path
) -> None:
    locked = Registry(engine, registry.store, 5001, locked=True)
    try:
        locked.start()
        with pytest.raises(InfraFault, match=r"infra\.auth \| pull .* log in to the registry"):
            pull(engine, f"{locked.name}/engines/none:1", tmp_path, Guard())
    finally:
        locked.stop()


def test_a_registry_that_is_gone_is_the_networks_fault(
    engine: PrivateEngine, registry: Registry, tmp_path: Path
) -> None:
    with pytest.raises(InfraFault, match=r"infra\.network \| pull 127.* reaches the registry"):
        pull(engine, "127.0.0.1:5999/engines/none:1", tmp_path, Guard())


@pytest.mark.parametrize(
    ("status", "cause", "step"),
    [(429, "infra.rate_limit", "wait, or log in"), (503, "infra.network", "reaches the registry")],
)
def test_a_registry_that_is_busy_is_no_missing_image(
    engine: PrivateEngine, registry: Registry, tmp_path: Path, status: int, cause: str, step: str
) -> None:
    if status == 429 and SNAPSHOTTER in (engine.client().info()["DriverStatus"] or []):
        pytest.skip(
            "containerd tries HTTPS, too, at a registry without it, and tells of that alone"
        )
    with registry.busy(5002, status) as name, pytest.raises(InfraFault) as caught:
        pull(engine, f"{name}/engines/none:1", tmp_path, Guard())
    assert caught.value.cause == cause
    assert step in str(caught.value)


def test_a_registry_that_hangs_is_waited_for_no_longer_than_the_limit(
    engine: PrivateEngine, registry: Registry, tmp_path: Path
) -> None:
    image = random_image(engine, "random:1", 8)
    theirs = registry.push(image, "engines/random:1")
    engine.client().images.remove(image)
    with registry.hanging():
        with pytest.raises(InfraFault, match=r"infra\.network \| pull .* no end within 2 s"):
            pull(engine, theirs, tmp_path, Guard(), seconds=2)
        guard = Guard()
        threading.Timer(0.5, setattr, (guard, "signal", signal.SIGTERM)).start()
        with pytest.raises(Stopped):
            pull(engine, theirs, tmp_path, guard)
    pull(engine, theirs, tmp_path, Guard())
    assert theirs in tags(engine)
    engine.client().images.remove(theirs)


def test_a_disk_that_fills_during_a_pull_is_reported_and_the_next_pull_works(
    engine: PrivateEngine, registry: Registry, tmp_path: Path
) -> None:
    """The engine reports it behind a status of 200; read over, it looked like a missing image."""
    image = random_image(engine, "random:2", 48)
    whole = registry.push(image, "engines/random:2")
    engine.client().images.remove(image)
    disk = SmallDisk(tmp_path, "disk", 160)
    small = PrivateEngine(disk.path / "root")
    beside = Registry(small, registry.store, registry.port)
    try:
        small.start()
        beside.start()
        ballast = disk.fill(leave=40 << 20)
        with pytest.raises(InfraFault, match=r"infra\.disk_full \| pull .* free space"):
            pull(small, whole, tmp_path, Guard())
        ballast.unlink()
        pull(small, whole, tmp_path, Guard())
        assert whole in tags(small)
    finally:
        beside.stop()
        small.stop()
        disk.unmount()
