"""Slurm jobs, and locks, names and temporaries of other machines."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from patchbench.errors import InfraFault
from patchbench.system import gpu_slots, locks, slurm
from patchbench.system.files import (
    TEMPORARY,
    append_line,
    own_name,
    remove_dead_temporaries,
    temporary_prefix,
)
from patchbench.system.locks import Holder, Mount, is_held, locked, mount_of, release, try_lock
from patchbench.system.pid_space import here

TABLE = [
    Mount("/", "ext4", ("rw", "relatime")),
    Mount("/dev/shm", "tmpfs", ("rw",)),
    Mount("/home", "nfs4", ("rw", "vers=4.2", "local_lock=none", "addr=10.0.0.1")),
    Mount("/home/old data", "nfs", ("rw", "vers=3", "nolock", "local_lock=all")),
    Mount("/scratch", "lustre", ("rw", "flock", "lazystatfs")),
    Mount("/scratch/fast", "lustre", ("rw", "localflock")),
    Mount("/gpfs", "gpfs", ("rw",)),
    Mount("/mnt", "fuse.sshfs", ("rw",)),
]


@pytest.fixture(autouse=True)
def _no_job(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [*os.environ]:
        if name.startswith("SLURM"):
            monkeypatch.delenv(name)
    monkeypatch.setattr(slurm, "_answers", {})


@pytest.mark.parametrize(
    ("path", "kind", "network", "reach"),
    [
        ("/tmp/results", "ext4", False, True),
        ("/dev/shm/x", "tmpfs", False, True),
        ("/home/me/results", "nfs4", True, True),
        ("/home/old data/results", "nfs", True, False),
        ("/homework", "ext4", False, True),
        ("/scratch/me", "lustre", True, True),
        ("/scratch/fast/me", "lustre", True, False),
        ("/gpfs/me", "gpfs", True, False),
        ("/mnt", "fuse.sshfs", True, False),
    ],
)
def test_how_far_locks_reach(path: str, kind: str, network: bool, reach: bool) -> None:
    found = mount_of(path, TABLE)
    assert found is not None
    assert (found.kind, found.network, found.locks_reach_all) == (kind, network, reach)


def test_the_mount_that_covers_another_counts() -> None:
    found = mount_of("/data/x", [Mount("/data", "ext4", ()), Mount("/data", "nfs", ())])
    assert found is not None and found.kind == "nfs"


def test_this_machines_own_table_is_read(tmp_path: Path) -> None:
    assert locks.mount(tmp_path) is not None


@pytest.mark.parametrize(
    ("code", "out", "err", "over"),
    [
        (0, "RUNNING\n", "", False),
        (0, "COMPLETING\n", "", False),
        (0, "SUSPENDED\n", "", False),
        # Requeued: its former processes are gone, the new ones not there yet.
        (0, "PENDING\n", "", True),
        (0, "", "", True),
        (0, "NODE_FAIL\n", "", True),
        (1, "", "slurm_load_jobs error: Invalid job id specified\n", True),
        (1, "", "slurm_load_jobs error: Unable to contact slurm controller\n", False),
    ],
)
def test_whether_a_job_is_over(code: int, out: str, err: str, over: bool) -> None:
    assert slurm.over_says(code, out, err) is over


def test_a_job_that_asks_for_itself_was_requeued(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLURM_JOB_ID", "17")
    assert slurm.is_over("17")


def test_without_slurm_nothing_is_certain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert not slurm.is_over("17")


def squeue(folder: Path, says: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program that answers as squeue does; returns the file in which it notes each call."""
    calls = folder / "calls"
    program = folder / "bin" / "squeue"
    program.parent.mkdir(exist_ok=True)
    program.write_text(f'#!/bin/sh\necho "$@" >> {calls}\necho {says}\n')
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    return calls


def test_slurm_is_not_asked_each_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = squeue(tmp_path, "RUNNING", monkeypatch)
    assert [slurm.is_over("17") for _ in range(5)] == [False] * 5
    assert calls.read_text().splitlines() == ["--noheader --jobs 17 --format %T"]


# --- locks ------------------------------------------------------------------------------------


def taken_elsewhere(path: Path, job: str = "") -> None:
    """A lock file as another machine's process leaves it when it is killed, or holds it."""
    path.write_text(f'{{"pid":4711,"host":"node3","job":"{job}"}}\n')


@pytest.fixture
def far(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if everything lay on a file system whose locks don't reach other machines."""
    monkeypatch.setattr(gpu_slots.locks, "mount", lambda path: Mount("/", "nfs", ("rw", "nolock")))


def test_a_lock_of_another_machine_is_never_taken_for_dead(tmp_path: Path, far: None) -> None:
    path = tmp_path / "x.lock"
    taken_elsewhere(path)
    assert try_lock(path) is None
    assert is_held(path)
    assert "node3" in path.read_text()
    with pytest.raises(InfraFault) as caught, locked(path, seconds=0.1, what="block 1"):
        pass
    for part in ("4711 on node3", f"if it is gone for certain, delete {path}"):
        assert part in str(caught.value)


def test_where_locks_reach_everybody_the_lock_itself_decides(tmp_path: Path) -> None:
    path = tmp_path / "x.lock"
    taken_elsewhere(path)
    assert not is_held(path)
    fd = try_lock(path)
    assert fd is not None
    release(fd)


@pytest.mark.parametrize(("says", "held"), [("RUNNING", True), ("FAILED", False)])
def test_slurm_knows_whether_the_holders_job_is_over(
    says: str, held: bool, tmp_path: Path, far: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    squeue(tmp_path, says, monkeypatch)
    path = tmp_path / "x.lock"
    taken_elsewhere(path, job="17")
    assert is_held(path) is held
    assert (try_lock(path) is None) is held


def test_a_requeued_job_takes_its_own_lock_again(
    tmp_path: Path, far: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLURM_JOB_ID", "17")
    path = tmp_path / "x.lock"
    taken_elsewhere(path, job="17")
    fd = try_lock(path)
    assert fd is not None
    release(fd)


def test_a_holder_that_ends_well_takes_its_name_out(tmp_path: Path, far: None) -> None:
    path = tmp_path / "x.lock"
    with locked(path, seconds=1, what="x"):
        assert locks.last_holder(path) == Holder(pid=os.getpid(), host=slurm.host())
    assert locks.last_holder(path) is None
    assert path.read_text() == ""


def test_looking_at_a_lock_leaves_it_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "x.lock"
    assert not is_held(path)
    assert not path.exists()
    fd = try_lock(path)
    before = path.read_text()
    assert is_held(path)
    assert path.read_text() == before
    release(fd)


def test_a_file_system_without_locks_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(fd: int, kind: int) -> None:
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(locks.fcntl, "flock", refuse)
    with pytest.raises(InfraFault, match=r"infra\.no_locks .* -o flock"):
        try_lock(tmp_path / "x.lock")
    append_line(tmp_path / "lines", b"{}")  # a list can do without
    assert (tmp_path / "lines").read_bytes() == b"{}\n"


# --- names ------------------------------------------------------------------------------------


def test_temporaries_of_another_machine_are_left_to_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    dead = tmp_path / f"{TEMPORARY}999999999-{here().mark}-{slurm.host()}-abc"
    theirs = tmp_path / f"{TEMPORARY}999999999-node-3-abc"
    mine = tmp_path / f"{temporary_prefix()}abc"
    for folder in (dead, theirs, mine):
        folder.mkdir()
    assert remove_dead_temporaries() == [str(dead)]
    assert theirs.is_dir() and mine.is_dir()
    # A version of ours that knows no hosts reads the process id up to the first dash.
    assert mine.name.removeprefix(TEMPORARY).partition("-")[0] == str(os.getpid())


def test_a_temporary_that_another_run_removes_first_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    gone = tmp_path / f"{TEMPORARY}999999999-{here().mark}-{slurm.host()}-abc"
    monkeypatch.setattr(Path, "glob", lambda *_: iter([gone]))
    assert remove_dead_temporaries() == []


def test_the_same_process_id_on_two_machines_is_two_names(monkeypatch: pytest.MonkeyPatch) -> None:
    here = own_name()
    monkeypatch.setattr(slurm, "host", lambda: "node3")
    assert own_name() != here


def test_locks_of_a_machines_things_are_kept_apart(
    locks: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert gpu_slots.lock_folder() == locks
    monkeypatch.setattr(gpu_slots.locks, "mount", lambda path: Mount("/", "nfs4", ("rw",)))
    assert gpu_slots.lock_folder() == locks / slurm.host()
