"""Two GPU slots: blocks run side by side, and never two on one slot."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import yaml

from patchbench.errors import InfraFault
from patchbench.system import gpu_slots
from patchbench.system.processes import Guard
from tests.workflow.conftest import copy_project
from tests.workflow.project import Project

pytestmark = pytest.mark.workflow


def test_blocks_side_by_side_never_share_a_slot(project: Project) -> None:
    args = project.small_config()
    config = yaml.safe_load((project.folder / "small.yaml").read_text())
    config["protocol"] |= {"exclusive": False, "blocks": 4}
    (project.folder / "small.yaml").write_text(yaml.safe_dump(config))
    args[args.index("gpu=1")] = "gpu=2"
    done = project.snakemake(*args, timeout=200)
    assert done.returncode == 0, done.stderr
    launches = {
        (run["block"], run["arm"]): (run["gpu_slot"], run["started"], run["ended"])
        for run in project.table("runs")
        if run["launched"]
    }
    assert {slot for slot, _, _ in launches.values()} == {"0", "1"}
    slots = {block: slot for (block, _), (slot, _, _) in launches.items()}
    for (block, _), (slot, start, end) in launches.items():
        assert slots[block] == slot  # a block stays on its GPU
        for (other, _), (its_slot, its_start, its_end) in launches.items():
            if other != block and start < its_end and its_start < end:
                assert its_slot != slot


def test_two_runs_at_once_share_the_gpus_and_never_one_gpu(
    tmp_path: Path, project: Project
) -> None:
    other = copy_project(tmp_path / "other")
    other.env["PATCHBENCH_LOCKS"] = project.env["PATCHBENCH_LOCKS"]
    started = []
    for one in (project, other):
        # GPUs with fake indices, as somebody with a share of a machine has them.
        one.env["CUDA_VISIBLE_DEVICES"] = "5,7"
        args = one.small_config()
        config = yaml.safe_load((one.folder / "small.yaml").read_text())
        config["protocol"] |= {"exclusive": False, "blocks": 3}
        (one.folder / "small.yaml").write_text(yaml.safe_dump(config))
        args[args.index("gpu=1")] = "gpu=2"
        started.append(one.start(*args))
    for process in started:
        assert process.wait(300) == 0
    spans = [
        (run["gpu_slot"], run["started"], run["ended"], one.folder.name)
        for one in (project, other)
        for run in one.table("runs")
        if run["launched"]
    ]
    assert {slot for slot, *_ in spans} == {"5", "7"}
    for slot, start, end, name in spans:
        for its_slot, its_start, its_end, its_name in spans:
            if its_name != name and start < its_end and its_start < end:
                assert its_slot != slot


def test_a_leaked_server_blocks_its_slot_until_it_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATCHBENCH_LOCKS", str(tmp_path / "locks"))
    guard = Guard()
    with gpu_slots.slot(1, 1, 0, guard) as slot:
        server = subprocess.Popen(["sleep", "600"], pass_fds=slot.fds)
    try:
        with pytest.raises(InfraFault, match=r"infra\.gpu_busy"), gpu_slots.slot(1, 1, 0.3, guard):
            pass
    finally:
        server.kill()
        server.wait()
    with gpu_slots.slot(1, 1, 1, guard) as again:
        assert again.name == slot.name
