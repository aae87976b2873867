"""Two GPU slots: blocks run side by side, and never two on one slot."""

from __future__ import annotations

import itertools
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from patchbench.errors import InfraFault
from patchbench.system import gpu_slots
from patchbench.system.processes import Guard
from tests import idle
from tests.workflow.conftest import copy_project
from tests.workflow.project import LONG, Project, kill_group, wait_for

pytestmark = pytest.mark.workflow


def launches(project: Project) -> list[tuple[str, int, str, str]]:
    """Return slot, block, start and end of each launch."""
    runs = {(r["block"], r["arm"]): r for r in project.table("runs") if r["launched"]}
    return [(r["gpu_slot"], r["block"], r["started"], r["ended"]) for r in runs.values()]


def overlap(one: tuple[str, int, str, str], other: tuple[str, int, str, str]) -> bool:
    """Return True if two launches ran on the same slot at the same time."""
    return one[0] == other[0] and one[2] < other[3] and other[2] < one[3]


def jobs_of_blocks(project: Project) -> int:
    """Count the jobs of blocks that are alive."""
    count = 0
    for process in project.processes():
        with suppress(psutil.Error):
            count += process.cmdline()[1:3] == ["-m", "patchbench.workflow.stages.run_benchmark"]
    return count


def test_blocks_side_by_side_never_share_a_slot(project: Project) -> None:
    args = idle.make(project, {"alba": 1800}, seconds=0.5, gpus=2, protocol={"blocks": 4})
    args[1] = "8"  # cores for more
    run = project.start(*args)
    seen = []
    while run.poll() is None:
        seen.append(jobs_of_blocks(project))
        time.sleep(0.1)
    assert run.returncode == 0
    assert 0 < max(seen) <= 2  # --resources gpu=2
    runs = launches(project)
    assert {slot for slot, *_ in runs} == {"0", "1"}
    assert len({(slot, block) for slot, block, *_ in runs}) == 4  # a block stays on its GPU
    for one, other in itertools.combinations(runs, 2):
        assert not overlap(one, other)


def in_the_middle(project: Project) -> dict[tuple[str, int], str]:
    """Return the slot of each block of which some launches have finished, and two at least not."""
    events: dict[tuple[str, int], list[dict[str, Any]]] = {}
    for event in project.journal():
        events.setdefault((event["commit"], event["block"]), []).append(event)
    out = {}
    for key, of_block in events.items():
        details = {e["event"]: e["detail"] for e in of_block}
        finished = sum(e["event"] == "run_finished" for e in of_block)
        if 0 < finished < len(details["block_begun"].split()) - 1:
            out[key] = details["slot_taken"]
    return out


def test_killed_blocks_of_two_commits_go_on_at_their_slots(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another program has the first one's slot when the same command begins: it waits for it."""
    monkeypatch.setenv("PATCHBENCH_LOCKS", project.env["PATCHBENCH_LOCKS"])
    # A commit's blocks come first: an odd number of them lets two commits meet.
    plan = {"blocks": 3, "aa_blocks": 1}
    agents = {"alba": 1800, "brio": 1600, "corso": 1400}
    args = idle.make(project, agents, commits=2, seconds=0.5, gpus=2, protocol=plan)
    run = project.start(*args)
    wait_for(lambda: len({commit for commit, _ in in_the_middle(project)}) == 2)
    kill_group(run)
    torn = in_the_middle(project)
    assert sorted(torn.values()) == ["0", "1"]
    first = min(torn, key=lambda key: torn[key])
    log = project.results / "progress.log"
    with gpu_slots.slot(2, 1, LONG, Guard(), only="0"):
        run = project.start(*args)
        wait_for(lambda: "waits up to 1800 s for GPU 0" in log.read_text())
    assert run.wait(LONG) == 0
    assert f"block {first[1]} of {first[0][:8]}: waits up to" in log.read_text()
    assert set(project.finished().values()) == {1}
    assert len(project.finished()) == 2 * (3 * 5 + 1)
    assert not [e for e in project.journal() if e["event"] == "launches_superseded"]
    rows = [row for row in project.table("runs") if row["launched"]]
    for key, slot in torn.items():
        assert {r["gpu_slot"] for r in rows if (r["commit"], r["block"]) == key} == {slot}
    # No arm of a block ran on another slot than its baseline.
    slots = {(row["commit"], row["block"], row["gpu_slot"]) for row in rows}
    assert len(slots) == 6
    assert {slot for *_, slot in slots} == {"0", "1"}


def test_two_runs_at_once_share_the_gpus_and_never_one_gpu(
    tmp_path: Path, project: Project
) -> None:
    other = copy_project(tmp_path / "other")
    other.env["PATCHBENCH_LOCKS"] = project.env["PATCHBENCH_LOCKS"]
    started = []
    for one in (project, other):
        # GPUs with fake indices, as a user with a share of a machine has them.
        one.env["CUDA_VISIBLE_DEVICES"] = "5,7"
        args = idle.make(one, {"alba": 1800}, seconds=0.3, gpus=2, protocol={"blocks": 4})
        started.append(one.start(*args))
    for process in started:
        assert process.wait(LONG) == 0
    assert {slot for one in (project, other) for slot, *_ in launches(one)} == {"5", "7"}
    for one, another in itertools.product(launches(project), launches(other)):
        assert not overlap(one, another)


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
