"""Two blocks never get the same GPU."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from patchbench.errors import InfraFault, Stopped
from patchbench.ledger import machine_faults
from patchbench.system import gpu_slots
from patchbench.system.processes import Guard
from patchbench.workflow import breaker
from tests.unit.conftest import environment

TAKE = """
import sys
from patchbench.system import gpu_slots
from patchbench.system.processes import Guard
with gpu_slots.slot(4, 1, 30, Guard()) as slot:
    print(slot.name, flush=True)
    sys.stdin.readline()
"""


def test_slots_held_at_the_same_time_are_never_the_same(locks: Path, guard: Guard) -> None:
    with ExitStack() as held:
        names = [held.enter_context(gpu_slots.slot(3, 1, 1, guard)).name for _ in range(3)]
        assert names == ["0", "1", "2"]
        with pytest.raises(InfraFault, match=r"infra\.gpu_busy"):
            held.enter_context(gpu_slots.slot(3, 1, 0, guard))
    with gpu_slots.slot(3, 1, 0, guard) as slot:
        assert slot.name == "0"


def test_processes_at_the_same_time_get_slots_of_their_own(locks: Path) -> None:
    command = [sys.executable, "-c", TAKE]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    started = [subprocess.Popen(command, env=environment(), **pipes) for _ in range(4)]
    try:
        names = [process.stdout.readline().decode().strip() for process in started]
        assert sorted(names) == ["0", "1", "2", "3"]
    finally:
        for process in started:
            process.communicate(b"done\n", timeout=60)


def test_the_slot_of_a_killed_process_is_free(locks: Path, guard: Guard) -> None:
    command = [sys.executable, "-c", TAKE.replace("(4, 1", "(1, 1")]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, env=environment(), **pipes) as process:
        process.stdout.readline()
        with pytest.raises(InfraFault) as caught, gpu_slots.slot(1, 1, 0, guard):
            pass
        assert f"gpu0 by {process.pid}" in str(caught.value)
        process.kill()
        process.wait()
    with gpu_slots.slot(1, 1, 0, guard) as slot:
        assert slot.name == "0"


def test_several_gpus_are_taken_all_or_none(locks: Path, guard: Guard) -> None:
    with gpu_slots.slot(4, 3, 0, guard) as three:
        assert three.name == "0,1,2"
        assert len(set(three.fds)) == 3
        with pytest.raises(InfraFault, match="2 of 4"), gpu_slots.slot(4, 2, 0, guard):
            pass
        with gpu_slots.slot(4, 1, 0, guard) as one:
            assert one.name == "3"


def test_of_a_named_slot_its_own_gpus_are_taken_or_none(locks: Path, guard: Guard) -> None:
    with gpu_slots.slot(4, 2, 0, guard, only="1,3") as both:
        assert both.name == "1,3"
        busy = pytest.raises(InfraFault, match=r"for 1 of 4 .* gpu3 by \d+ ")
        with busy, gpu_slots.slot(4, 1, 0, guard, only="3"):
            pass
    with pytest.raises(InfraFault), gpu_slots.slot(2, 1, 0, guard, only="3"):
        pass


def test_the_lock_is_handed_to_the_blocks_children(locks: Path, guard: Guard) -> None:
    with gpu_slots.slot(1, 1, 0, guard) as slot:
        assert [os.get_inheritable(fd) for fd in slot.fds] == [True]


def test_only_the_gpus_that_were_given_are_taken(
    locks: Path, guard: Guard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5, 7")
    assert [d.number for d in gpu_slots.devices(8)] == ["5", "7"]
    with gpu_slots.slot(8, 1, 0, guard) as one, gpu_slots.slot(8, 1, 0, guard) as two:
        assert (one.name, two.name) == ("5", "7")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert [d.number for d in gpu_slots.devices(2)] == ["0", "1"]


def test_a_wait_for_a_gpu_can_be_stopped(locks: Path, guard: Guard) -> None:
    with gpu_slots.slot(1, 1, 0, guard):
        os.kill(os.getpid(), signal.SIGTERM)
        with pytest.raises(Stopped, match="SIGTERM"), gpu_slots.slot(1, 1, 60, guard):
            pass


def test_a_run_that_was_told_to_end_lets_no_waiting_block_begin(
    locks: Path, guard: Guard, tmp_path: Path
) -> None:
    breaker.begin(tmp_path, 0)
    waiting = machine_faults.Waiting(guard, tmp_path)
    with gpu_slots.slot(1, 1, 0, waiting):  # its turn has come: it goes on
        breaker.told_to_end(tmp_path)
        with pytest.raises(Stopped, match="told to end"), gpu_slots.slot(1, 1, 60, waiting):
            pass
    breaker.begin(tmp_path, 0)  # the same command again
    with (
        gpu_slots.slot(1, 1, 0, waiting),
        pytest.raises(InfraFault),
        gpu_slots.slot(1, 1, 0.1, waiting),
    ):
        pass


def test_locks_lie_in_a_folder_of_the_user_unless_named(
    locks: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert gpu_slots.lock_folder() == locks
    monkeypatch.delenv("PATCHBENCH_LOCKS")
    assert gpu_slots.lock_folder().name == f"patchbench-{os.getuid()}"


def test_a_gpu_that_gives_its_memory_back_late_is_waited_for(guard: Guard) -> None:
    answers = iter(["GPU 0: process 7 holds 900 MiB", None])
    gpu_slots.await_clean(["0"], guard, lambda _: next(answers), seconds=5)


def test_nothing_is_measured_on_a_gpu_that_somebody_else_uses(guard: Guard) -> None:
    with pytest.raises(InfraFault, match=r"infra\.gpu_dirty \| GPU 1: process 7"):
        gpu_slots.await_clean(
            ["0", "1"], guard, {"0": None, "1": "GPU 1: process 7 holds 9 MiB"}.get, seconds=0
        )


def given(monkeypatch: pytest.MonkeyPatch, **names: str) -> None:
    for name in ("SLURM_STEP_GPUS", "SLURM_JOB_GPUS", "CUDA_VISIBLE_DEVICES"):
        monkeypatch.setenv(name, names.get(name, ""))


def test_slurms_gpus_are_told_apart_by_their_numbers_on_the_node(
    locks: Path, guard: Guard, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Where a job sees its own GPUs alone, each calls its first one 0.
    given(monkeypatch, SLURM_STEP_GPUS="3", CUDA_VISIBLE_DEVICES="0")
    with gpu_slots.slot(1, 1, 0, guard) as one:
        assert (one.name, one.devices) == ("3", ("0",))
        given(monkeypatch, SLURM_JOB_GPUS="5", CUDA_VISIBLE_DEVICES="0")
        with gpu_slots.slot(1, 1, 0, guard) as other:
            assert (other.name, other.devices) == ("5", ("0",))


def test_slurms_gpus_without_a_list_of_visible_ones(
    locks: Path, guard: Guard, monkeypatch: pytest.MonkeyPatch
) -> None:
    given(monkeypatch, SLURM_JOB_GPUS="2,3")
    with gpu_slots.slot(1, 2, 0, guard) as both:
        assert (both.name, both.devices) == ("2,3", ("2", "3"))


def test_an_engine_is_told_a_gpus_uuid_where_the_job_counts_anew() -> None:
    as_they_are = gpu_slots.Slot("2,3", (), ("2", "3"))
    assert gpu_slots.named_outside(as_they_are, lambda _: None) == ("2", "3")
    counted_anew = gpu_slots.Slot("2,3", (), ("0", "1"))
    assert gpu_slots.named_outside(counted_anew, lambda g: f"GPU-{g}") == ("GPU-0", "GPU-1")
    with pytest.raises(InfraFault, match=r"infra\.gpu_name .* nvidia-ml-py"):
        gpu_slots.named_outside(counted_anew, lambda _: None)


def test_device_nodes_are_numbered_as_the_driver_numbers_them() -> None:
    """A container that was given GPUs 3 and 5 of a host calls them 0 and 1."""
    minors = {"0": "3", "GPU-a": "3", "1": "5", "GPU-b": "5"}
    second = gpu_slots.Slot("1", (), ("1",))
    assert gpu_slots.node_numbers(second, minors, lambda _: True) == ("5",)
    assert gpu_slots.node_numbers(gpu_slots.Slot("7", (), ("GPU-a",)), minors, lambda _: True) == (
        "3",
    )
    both = gpu_slots.Slot("0,1", (), ("0", "1"))
    assert gpu_slots.node_numbers(both, minors, lambda _: True) == ("3", "5")


@pytest.mark.parametrize("minors", [{}, {"0": "1", "1": "5"}, {"0": "0"}])
def test_numbers_that_no_node_bears_are_not_taken(minors: dict[str, str]) -> None:
    """Else two slots could end on one GPU: all numbers are taken, or none."""
    found = gpu_slots.node_numbers(gpu_slots.Slot("1", (), ("1",)), minors, {"0", "1"}.__contains__)
    assert found == ("1",)
