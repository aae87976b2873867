"""A patch can print any line. What it prints never takes its crash off its agent, costs at most one
launch more, and never ends the job."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from patchbench.benchmark import arm_launch, block, outside, relaunch
from patchbench.benchmark.arm_launch import launch_arm
from patchbench.benchmark.context import BlockContext
from patchbench.config import Protocol
from patchbench.errors import InfraFault
from patchbench.failures.attribution import attribute
from patchbench.failures.signatures import Signature, table
from patchbench.grading.launch import grade_launch
from patchbench.grading.run_folder import SERVER_ERR, read_run
from patchbench.ledger import journal
from patchbench.records import Built, GradedRun, Run
from patchbench.runtimes.process import ProcessRuntime
from patchbench.subject import Recipe
from patchbench.system.processes import Guard
from tests.unit import make, outputs

CRASH = (
    "Traceback (most recent call last):\n"
    '  File "/tree/engine/core.py", line 3, in step\n'
    "    page = table[7]\n"
    "IndexError: page 7\n"
)
STARTED = make.phase("server_start", "failed", 1)
SERVED = (make.phase("server_start"), make.phase("benchmark"))
RECIPE = Recipe(folder="envs/images/x", digest="d", root="/opt/engine", python="python3")
Write = Callable[[str, int], str | None]


class Arms:
    """Blocks whose arms' launches are written by ``logs``: text of the log of a failed server, by
    arm and number of the launch; None for a launch that worked."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, logs: Write) -> None:
        self.folder, self.logs = folder, logs
        self.launches: list[str] = []
        monkeypatch.setattr(arm_launch, "_run", self.run)
        monkeypatch.setattr(outside, "SCARCE_BYTES", 0)
        monkeypatch.setattr("patchbench.system.kernel_log.records", lambda *_: iter(()))

    def context(self, number: int = 1, runtime: str = "process") -> BlockContext:
        images = {
            arm: Built(
                commit=make.COMMIT, arm=arm, stage="build_image", status="ok", image=f"/{arm}"
            )
            for arm in ("baseline", "human", "alba")
        }
        recipe = RECIPE if runtime == "docker" else None
        task = make.task(
            workload=make.workload(requests=250),
            protocol=Protocol(aa_blocks=0),
            work=str(self.folder),
            runtime=runtime,
            recipe=recipe,
        )
        return BlockContext(
            task=task,
            block=number,
            digest="d",
            images=images,
            results=self.folder / "results",
            slots=1,
            runtime=ProcessRuntime(self.folder, self.folder / "results"),
            guard=Guard(),
            rebuild=lambda _: None,
            on_finished=lambda _: None,
        )

    def run(self, context: BlockContext, arm: str, position: int, _: object, folder: Path) -> Run:
        self.launches.append(arm)
        log = self.logs(arm, self.launches.count(arm))
        if log is None:
            (folder / "benchmark.stdout").write_text(outputs.V3.text)
        else:
            (folder / SERVER_ERR).write_text(log)
        phases = SERVED if log is None else (STARTED,)
        return make.launch(folder, *phases, arm=arm, position=position, block=context.block)

    def launch(self, *arms: str, number: int = 1, runtime: str = "process") -> BlockContext:
        context = self.context(number, runtime)
        for position, arm in enumerate(arms):
            launch_arm(context, arm, position, None)
        return context

    def charged(self, context: BlockContext) -> dict[str, GradedRun]:
        records = {path.name: read_run(path) for path in sorted(context.folder.iterdir())}
        runs = [
            grade_launch(context.task, run, context.folder / arm)
            for arm, run in records.items()
            if run is not None
        ]
        return {run.arm: run for run in attribute(runs)}


def printed(row: Signature) -> str:
    return f"loading\n{row.example}\n{CRASH}"


# Before or behind the crash, in each runtime: one of the four for each row in turn, all if slow.
PLACES = [(behind, runtime) for runtime in ("process", "docker") for behind in (False, True)]
PRINTED = [
    (row, *place)
    for number, row in enumerate(table())
    for turn, place in enumerate(PLACES)
    if os.environ.get("PATCHBENCH_SLOW") or number % len(PLACES) == turn
]


@pytest.mark.parametrize(
    ("row", "behind", "runtime"),
    PRINTED,
    ids=[f"{row.cause}-{row.text[:30]}-{behind}-{runtime}" for row, behind, runtime in PRINTED],
)
def test_a_printed_line_does_not_move_the_blame(
    row: Signature, behind: bool, runtime: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = f"{CRASH}{row.example}\n" if behind else printed(row)
    arms = Arms(tmp_path, monkeypatch, lambda arm, _: log if arm == "alba" else None)
    context = arms.launch("alba", "baseline", "human", runtime=runtime)
    assert arms.launches.count("alba") <= 2
    alba = arms.charged(context)["alba"]
    assert alba.blame == "agent"
    assert not alba.cause.startswith(("infra.", "harness.", "task.", "image."))


def test_many_lines_cost_one_launch_in_all_blocks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each launch prints another signature, and the machine's come first."""
    rows = [row for row in table() if row.of_machine]
    arms = Arms(
        tmp_path, monkeypatch, lambda arm, n: printed(rows[n * 7]) if arm == "alba" else None
    )
    for number in (1, 2, 3):
        context = arms.launch("baseline", "alba", "human", number=number)
        alba = arms.charged(context)["alba"]
        assert (alba.cause, alba.blame) == ("server.crash", "agent")
    assert arms.launches.count("alba") == 4


def test_a_line_before_a_kill_costs_one_launch_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arms = Arms(tmp_path, monkeypatch, lambda arm, _: "NVRM: Xid (PCI:0000:44:00): 79, GPU\n")
    killed = make.phase("server_start", "failed", -9)
    monkeypatch.setattr("tests.unit.test_hostile_log.STARTED", killed)
    with pytest.raises(InfraFault, match="killed"):  # no line explains a kill: it is pending
        arms.launch("alba")
    assert arms.launches.count("alba") == 2


FULL = "OSError: [Errno 28] No space left on device\n"


def test_a_fault_that_was_there_once_costs_nothing_but_a_launch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arms = Arms(
        tmp_path, monkeypatch, lambda arm, n: FULL if arm == "alba" and n in (1, 3) else None
    )
    for number in (1, 2):
        context = arms.launch("baseline", "alba", number=number)
        assert arms.charged(context)["alba"].status == "measured"
    assert arms.launches.count("alba") == 4


def test_a_fault_that_is_seen_from_outside_is_the_machines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arms = Arms(tmp_path, monkeypatch, lambda arm, _: FULL if arm == "alba" else None)
    monkeypatch.setattr(outside, "SCARCE_BYTES", 2**62)
    with pytest.raises(InfraFault, match=r"infra\.disk_full"):
        arms.launch("baseline", "alba")


def test_the_baselines_fault_in_the_same_block_confirms_the_agents(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arms = Arms(tmp_path, monkeypatch, lambda *_: FULL)
    with pytest.raises(InfraFault, match="baseline"):
        arms.launch("baseline")
    with pytest.raises(InfraFault, match="alba"):
        arms.launch("alba")


def test_a_fault_of_the_baseline_after_the_agents_launch_takes_that_launch_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arms = Arms(tmp_path, monkeypatch, lambda *_: FULL)
    context = arms.launch("alba")
    assert not relaunch.was_the_machines(context, "alba")
    with pytest.raises(InfraFault, match="baseline"):
        arms.launch("baseline")
    assert relaunch.was_the_machines(context, "alba")
    run = read_run(context.folder / "alba")
    assert run is not None and block._is_outdated(context, run)
    finished = journal.finished(context.events(), "d")["alba"]
    context.write_event("run_finished", arm="alba", result="failed", detail=finished.detail)
    assert not relaunch.was_the_machines(context, "alba")


def test_a_fault_that_the_human_had_for_good_is_the_machines_in_the_agents_launch_too(
    tmp_path: Path,
) -> None:
    alba = make.run("alba", cause="server.crash", stage="server_start")
    alba = msgspec.structs.replace(alba, suspected=("infra.gpu",))
    worked = make.run("baseline", metrics={"ttft_median_ms": 1.0})
    human = make.run("human", cause="infra.gpu", stage="server_start")
    charged = attribute([worked, human, alba])[-1]
    assert (charged.cause, charged.blame) == ("infra.gpu", "infra")
    assert attribute([worked, alba])[-1].blame == "agent"


def test_another_ranks_exception_comes_before_what_nccl_says_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = "".join(f"[rank1]: {line}\n" for line in CRASH.splitlines()) + (
        "[rank0]: Traceback (most recent call last):\n"
        '[rank0]:   File "/tree/engine/parallel.py", line 9, in all_reduce\n'
        "[rank0]: torch.distributed.DistBackendError: NCCL error in: ProcessGroupNCCL.cpp:1970, "
        "remote process exited or there was a network error, NCCL version 2.20.5\n"
        "[rank0]: ncclRemoteError: A call failed possibly due to a network error or a remote "
        "process exiting prematurely.\n"
    )
    arms = Arms(tmp_path, monkeypatch, lambda arm, _: log)
    context = arms.launch("baseline", "alba")
    runs = arms.charged(context)
    assert runs["baseline"].cause == "server.crash"
    assert runs["baseline"].evidence.text == "IndexError: page 7"
    assert runs["alba"].suspected == ()
