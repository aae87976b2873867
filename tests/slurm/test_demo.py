"""The whole demo through Slurm: every patch ends in the class in which it ends on one machine."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.engine.conftest import base_archive, can_start_engines, engine, on_engine
from tests.engine.engines import PrivateEngine
from tests.engine.test_demo import kind
from tests.slurm.cluster import Cluster
from tests.slurm.conftest import PROFILE, SLOW, SlurmProject, on_cluster
from tests.workflow.test_demo import ended, expected

__all__ = ["base_archive", "can_start_engines", "engine"]

pytestmark = [
    pytest.mark.slurm,
    pytest.mark.skipif(not SLOW, reason="ten minutes: make test-slow"),
]


def worked_off(project: SlurmProject, *more: str) -> subprocess.CompletedProcess[str]:
    """The demo, by the command that people use. All blocks wait in Slurm's own queue."""
    began = time.monotonic()
    done = project.snakemake(*PROFILE, "--resources", "gpu=40", *more, timeout=2400)
    sys.stderr.write(f"{time.monotonic() - began:.0f} s\n{done.stderr[-4000:]}")
    assert done.returncode == 0, done.stderr[-4000:]
    return done


def ends_in_its_classes(project: SlurmProject) -> None:
    """Every patch ends as its author meant, as far as a noisy machine can tell."""
    outcomes = {(r["commit"][:8], r["arm"]): r for r in project.table("outcomes")}
    against = {
        (r["commit"][:8], r["arm"]): r["verdict"]
        for r in project.table("comparisons")
        if r["role"] == "human"
    }
    wanted = {(c["commit"], c["agent"]): c["ending"] for c in expected()}
    found = {key: ended(outcomes[key], against.get(key)) for key in wanted}
    assert {k: kind(v) for k, v in found.items()} == {k: kind(v) for k, v in wanted.items()}
    for key, ending in wanted.items():
        if ending in ("no_effect", "slower"):
            assert outcomes[key]["verdict"] != "faster"
    human = [r for r in outcomes.values() if r["arm"] == "human" and r["status"] == "measured"]
    assert len(human) == 6
    # How many gains can be told from the noise depends on what else the machine does.
    assert {r["verdict"] for r in human} <= {"faster", "inconclusive"}
    assert sum(r["verdict"] == "faster" for r in human) >= 3
    assert set(project.finished().values()) == {1}
    assert not project.cluster.queue()
    assert not project.processes()


def test_the_demo_on_one_gpu(tmp_path: Path, narrow: Cluster) -> None:
    project = on_cluster(tmp_path / "project", narrow)
    worked_off(project)
    ends_in_its_classes(project)


def test_the_demo_in_containers(
    tmp_path: Path, narrow: Cluster, engine: PrivateEngine, base_archive: Path
) -> None:
    project = on_cluster(tmp_path / "project", narrow)
    on_engine(project, engine, base_archive)
    worked_off(project, "--config", "runtime=docker")
    ends_in_its_classes(project)
    tags = [tag for image in engine.client().images.list() for tag in image.tags]
    assert not [t for t in tags if t.startswith("patchbench/") and "-base:" not in t]
    assert not engine.client().containers.list(all=True)
