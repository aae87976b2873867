"""The whole demo through Slurm: every patch ends as on one machine."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.engine.conftest import base_archive, can_start_engines, engine, on_engine
from tests.engine.engines import PrivateEngine
from tests.slurm.cluster import Cluster
from tests.slurm.conftest import PROFILE, SlurmProject, on_cluster
from tests.workflow.endings import check, expected

__all__ = ["base_archive", "can_start_engines", "engine"]

pytestmark = pytest.mark.slurm


def worked_off(project: SlurmProject, *more: str) -> subprocess.CompletedProcess[str]:
    """Work off the demo by the command that people use. All blocks wait in Slurm's own queue."""
    began = time.monotonic()
    done = project.snakemake(*PROFILE, "--resources", "gpu=40", *more)
    sys.stderr.write(f"{time.monotonic() - began:.0f} s\n{done.stderr[-4000:]}")
    assert done.returncode == 0, done.stderr[-4000:]
    return done


def ends_as_meant(project: SlurmProject) -> None:
    """Check all endings, and that no launch was made twice and nothing is left."""
    check(project, expected().items())
    assert set(project.finished().values()) == {1}
    assert not project.cluster.queue()
    assert not project.processes()


def test_the_demo_on_one_gpu(tmp_path: Path, narrow: Cluster) -> None:
    project = on_cluster(tmp_path / "project", narrow)
    worked_off(project)
    ends_as_meant(project)


def test_the_demo_in_containers(
    tmp_path: Path, narrow: Cluster, engine: PrivateEngine, base_archive: Path
) -> None:
    project = on_cluster(tmp_path / "project", narrow)
    on_engine(project, engine, base_archive)
    words = "--config", "runtime=docker"
    worked_off(project, *words)
    assert set(project.finished().values()) == {1}
    for _ in range(3):
        if project.forget_late_blocks():
            worked_off(project, *words)
    check(project, expected().items())
    assert not project.cluster.queue()
    assert not project.processes()
    tags = [tag for image in engine.client().images.list() for tag in image.tags]
    assert not [t for t in tags if t.startswith("patchbench/") and "-base:" not in t]
    assert not engine.client().containers.list(all=True)
