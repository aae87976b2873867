"""Two GPU slots: blocks run side by side, and never two on one slot."""

from __future__ import annotations

import pytest
import yaml

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
