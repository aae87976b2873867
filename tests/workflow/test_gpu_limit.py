"""``--resources gpu=N`` starts N jobs of blocks at a time, never one more."""

from __future__ import annotations

import time

import psutil
import pytest

from tests import idle
from tests.workflow.project import Project

pytestmark = pytest.mark.workflow


def blocks(project: Project) -> int:
    """Jobs of blocks that are alive."""
    count = 0
    for process in project.processes():
        try:
            count += process.cmdline()[1:3] == ["-m", "patchbench.workflow.stages.run_benchmark"]
        except psutil.Error:
            continue
    return count


def test_no_more_jobs_than_gpus(project: Project) -> None:
    options = idle.make(project, {"alba": 1200}, seconds=0.5, gpus=2, protocol={"blocks": 4})
    options[1] = "8"  # cores for more
    run = project.start(*options)
    seen = []
    while run.poll() is None:
        seen.append(blocks(project))
        time.sleep(0.05)
    assert run.returncode == 0
    assert max(seen) <= 2
    assert max(seen) > 0
    assert {block for _, block, _, _ in project.finished()} == {1, 2, 3, 4}
