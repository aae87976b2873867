"""A private Slurm per session, and projects that run their blocks through it."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests import idle
from tests.slurm.cluster import VENV, Cluster, why_not
from tests.workflow.conftest import copy_project
from tests.workflow.project import Project, wait_for

# Set where these tests must not be skipped: in CI.
REQUIRED = "PATCHBENCH_NEEDS_SLURM"
# Whole runs through Slurm take half an hour: only `make test-slow` makes them.
SLOW = bool(os.environ.get("PATCHBENCH_SLOW"))

PROFILE = (
    *("--profile", "profiles/slurm", "--latency-wait", "10"),
    *("--slurm-init-seconds-before-status-checks", "1", "--seconds-between-status-checks", "1"),
    # What the fake node has.
    *("--set-resources", "run_benchmark:cpus_per_task=2", "run_benchmark:mem_mb=1000"),
    *("run_benchmark:runtime=10", "build_image:cpus_per_task=2", "build_image:mem_mb=1000"),
    "build_image:runtime=10",
)


class SlurmProject(Project):
    """A copy of the project with a snakemake that knows Slurm."""

    def __init__(self, folder: Path, cluster: Cluster) -> None:
        super().__init__(folder)
        self.env |= cluster.env
        self.cluster = cluster

    @property
    def program(self) -> Path:
        """The snakemake that knows Slurm."""
        return VENV / "bin" / "snakemake"

    def idle(self, *, gpus: int, blocks: int) -> list[str]:
        """Write a campaign of one task and two agents with launches of a second; returns
        Snakemake's options."""
        idle.make(self, {"alba": 1800, "brio": 1600}, seconds=1, protocol={"blocks": blocks})
        return [*PROFILE, "--resources", f"gpu={gpus}", "--configfile", idle.CONFIG]

    def campaign(self, *, gpus: int, blocks: int = 3, **changes: Any) -> list[str]:
        """Write a campaign of one task, two agents and so many blocks that may run at once; returns
        Snakemake's options."""
        self.small_config(**changes)
        path = self.folder / "small.yaml"
        config = yaml.safe_load(path.read_text())
        config["protocol"] |= {"blocks": blocks, "exclusive": False}
        path.write_text(yaml.safe_dump(config))
        return [*PROFILE, "--resources", f"gpu={gpus}", "--configfile", "small.yaml"]


def started(gpus: int) -> Iterator[Cluster]:
    """A cluster of one node with so many fake GPUs, ended after use."""
    if not SLOW:
        pytest.skip("PATCHBENCH_SLOW is not set")
    if reason := why_not():
        if os.environ.get(REQUIRED):
            pytest.fail(f"{REQUIRED} is set: {reason}")
        pytest.skip(reason)
    own = Cluster(gpus)
    try:
        yield own.start()
    finally:
        own.stop()


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """A cluster with two GPUs."""
    yield from started(2)


@pytest.fixture
def narrow() -> Iterator[Cluster]:
    """A fresh cluster with one GPU: a block that goes on does so where it was."""
    yield from started(1)


def on_cluster(folder: Path, cluster: Cluster) -> SlurmProject:
    """A fresh copy of the project on a cluster."""
    copy_project(folder)
    return SlurmProject(folder, cluster)


def watched(project: SlurmProject) -> Iterator[SlurmProject]:
    """A project; after the test nothing of it must be left."""
    yield project
    sys.stderr.write(project.cluster.tails())
    wait_for(lambda: not project.cluster.queue(), 60)
    wait_for(lambda: not project.processes(), 60)


@pytest.fixture
def wide_project(tmp_path: Path, cluster: Cluster) -> Iterator[SlurmProject]:
    """A project on two GPUs."""
    yield from watched(on_cluster(tmp_path / "project", cluster))


@pytest.fixture
def narrow_project(tmp_path: Path, narrow: Cluster) -> Iterator[SlurmProject]:
    """A project on one GPU."""
    yield from watched(on_cluster(tmp_path / "project", narrow))
