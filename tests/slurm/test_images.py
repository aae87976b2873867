"""Blocks as Slurm jobs in containers, on their node's engine."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from patchbench.runtimes.docker import labels
from tests.engine.conftest import base_archive, can_start_engines, engine, on_engine
from tests.engine.engines import PrivateEngine
from tests.slurm.cluster import Cluster
from tests.slurm.conftest import SlurmProject, on_cluster, watched
from tests.slurm.test_blocks import complete, launched

__all__ = ["base_archive", "can_start_engines", "engine"]

pytestmark = [pytest.mark.slurm, pytest.mark.engine]


@pytest.fixture
def docker_project(
    tmp_path: Path, cluster: Cluster, engine: PrivateEngine, base_archive: Path
) -> Iterator[SlurmProject]:
    """A project on a node with two GPUs and an engine."""
    project = on_cluster(tmp_path / "project", cluster)
    on_engine(project, engine, base_archive)
    yield from watched(project)


def ours(engine: PrivateEngine) -> list[str]:
    """Return the names of our images without bases."""
    names = [tag for image in engine.client().images.list() for tag in image.tags]
    return [n for n in names if n.startswith("patchbench/") and "-base:" not in n]


def test_a_block_makes_the_images_that_its_node_lacks(
    docker_project: SlurmProject, engine: PrivateEngine
) -> None:
    args = docker_project.campaign(gpus=2, blocks=2, runtime="docker")
    here = ("--cores", "2", "--configfile", "small.yaml", "--until", "build_image")
    built = docker_project.snakemake(*here)
    assert built.returncode == 0, built.stderr[-4000:]
    # As if the blocks came to another node.
    assert ours(engine)
    for name in ours(engine):
        engine.client().images.remove(name, force=True)
    done = docker_project.snakemake(*args)
    assert done.returncode == 0, done.stderr[-4000:]
    complete(docker_project, blocks=2, brio="patch.import")
    rows = launched(docker_project)
    assert {r["runtime"] for r in rows} == {"docker"}
    assert {r["gpu_slot"] for r in rows} == {"0", "1"}
    assert not ours(engine)
    left = engine.client().containers.list(all=True, filters={"label": labels.CAMPAIGN})
    assert not left


def test_all_images_of_a_commit_are_built_in_one_job(
    docker_project: SlurmProject, engine: PrivateEngine
) -> None:
    args = docker_project.campaign(gpus=2, blocks=2, runtime="docker")
    # The first process needs no engine: the nodes have theirs.
    docker_project.env["DOCKER_HOST"] = "unix:///nowhere"
    config = docker_project.folder / "small.yaml"
    config.write_text(config.read_text() + f"containers:\n  engine: {engine.url}\n")
    done = docker_project.snakemake(*args)
    assert done.returncode == 0, done.stderr[-4000:]
    complete(docker_project, blocks=2, brio="patch.import")
    logs = docker_project.folder / ".snakemake" / "log"
    text = "".join(path.read_text() for path in logs.glob("*.log"))
    assert text.count("submitted with SLURM jobid") == 3  # images, and two blocks
    (released,) = (docker_project.results / "images").glob("*/released.json")
    assert json.loads(released.read_text())["removed"] == []  # not by the first process
    assert not ours(engine)
