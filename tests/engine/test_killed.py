"""Runs on an engine that are killed: the watchdog or the next start takes away what they left."""

from __future__ import annotations

import os
import signal

import pytest

from tests.engine.conftest import SLOW
from tests.engine.engines import PrivateEngine
from tests.workflow.project import LONG, Project, kill_group, wait_for

pytestmark = pytest.mark.engine


def serving(engine: PrivateEngine) -> bool:
    """Return True while a server's container runs."""
    containers = engine.client().containers.list(filters={"label": "patchbench.kind=server"})
    return bool([c for c in containers if "smoke" not in c.name])


def in_a_block(project: Project, engine: PrivateEngine) -> bool:
    """Return True while a block's server runs."""
    return any(e["event"] == "run_started" for e in project.journal()) and serving(engine)


WAYS = ["group", "job", "scheduler", "interrupt", "terminate"]


@pytest.mark.parametrize("how", WAYS if SLOW else WAYS[:1])
def test_a_killed_run_leaves_nothing_and_resumes(
    docker_project: Project, engine: PrivateEngine, how: str
) -> None:
    project = docker_project
    args = project.small_config(blocks=1, runtime="docker")
    process = project.start(*args)
    wait_for(lambda: in_a_block(project, engine) or process.poll() is not None)
    assert process.poll() is None
    if how == "group":
        kill_group(process)
    elif how == "scheduler":
        process.kill()
    elif how == "job":
        job = next(
            p for p in project.processes() if "stages.run_benchmark" in " ".join(p.cmdline())
        )
        job.kill()
    else:
        os.kill(process.pid, signal.SIGINT if how == "interrupt" else signal.SIGTERM)
    process.wait(LONG)
    # The watchdog needs no next start: a dead job's server must not keep a GPU.
    wait_for(lambda: not serving(engine))
    before = project.finished()
    done = project.snakemake(*args)
    assert done.returncode == 0, done.stderr[-3000:]
    finished = project.finished()
    assert set(finished.values()) == {1}
    assert not before - finished
    assert not engine.client().containers.list(all=True)
    assert {r["status"] for r in project.table("outcomes") if r["arm"] == "alba"} == {"measured"}
    wait_for(lambda: not project.processes())
