"""Whatever a launch started ends with it, and with whoever launched it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from patchbench.errors import Stopped
from patchbench.system import pid_space, processes
from patchbench.system.processes import Child, Guard
from tests.unit.conftest import environment, soon

# A child, and a grandchild in a session of its own; both ignore SIGTERM if told so.
FAMILY = """
import os, signal, subprocess, sys, time
stubborn = sys.argv[1] == "stubborn"
code = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(60)"
child = subprocess.Popen([sys.executable, "-c", code], start_new_session=True)
if stubborn:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
print(child.pid, flush=True)
time.sleep(60)
"""


def alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.fixture
def own_marks(monkeypatch: pytest.MonkeyPatch) -> str:
    """Marks of this test alone: nothing else on the machine is ever found or ended by it."""
    name = f"PROCESS_OWNER_{uuid.uuid4().hex}"
    monkeypatch.setattr(processes, "OWNER", name)
    return name


@pytest.fixture
def start(tmp_path: Path, own_marks: str) -> Iterator[Callable[..., Child]]:
    """Starts processes and ends them after the test."""
    started = []

    def spawn(*command: str, **more: object) -> Child:
        child = processes.spawn(
            command,
            cwd=tmp_path,
            env=more.pop("env", environment()),
            stdout=tmp_path / "out",
            stderr=tmp_path / "err",
            **more,
        )
        started.append(child)
        return child

    yield spawn
    for child in started:
        child.stop(0)


def family(start: Callable[..., Child], manner: str) -> tuple[Child, int]:
    child = start(sys.executable, "-c", FAMILY, manner)
    assert soon(lambda: child.stdout.read_text().endswith("\n"))
    return child, int(child.stdout.read_text())


# --- starting and ending --------------------------------------------------------------------------


def test_output_goes_to_two_files_and_the_exit_code_is_kept(start) -> None:
    child = start("sh", "-c", "echo out; echo err >&2; cat; exit 3")
    assert soon(lambda: child.exit_code is not None)
    assert child.exit_code == 3
    assert child.stop(1) == "had ended"
    assert (child.stdout.read_text(), child.stderr.read_text()) == ("out\n", "err\n")


def test_a_process_sees_the_given_environment_and_no_other(
    start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "secret")
    child = start("/usr/bin/env", env={"A": "1"})
    assert soon(lambda: child.exit_code is not None)
    child.stop(1)
    names = {line.partition("=")[0] for line in child.stdout.read_text().splitlines()}
    assert names == {"A", processes.OWNER, processes.RUN}


def test_no_variable_says_who_asks() -> None:
    names = f"{processes.OWNER} {processes.RUN}".lower()
    assert "patchbench" not in names and "judge" not in names


def test_descriptors_are_inherited_only_when_kept(start, tmp_path: Path) -> None:
    with (tmp_path / "x").open("w") as kept, (tmp_path / "y").open("w") as other:
        os.set_inheritable(other.fileno(), True)
        child = start("ls", "/proc/self/fd", keep=(kept.fileno(),))
        assert soon(lambda: child.exit_code is not None)
        child.stop(1)
        listed = child.stdout.read_text().split()
        assert str(kept.fileno()) in listed
        assert str(other.fileno()) not in listed


def test_a_process_that_listens_ends_on_sigterm(start) -> None:
    child = start("sleep", "60")
    assert child.stop(10) == "ended on SIGTERM"
    assert child.exit_code == -signal.SIGTERM


def test_a_grandchild_that_ignores_sigterm_in_its_own_session_is_ended(start) -> None:
    child, grandchild = family(start, "soft")
    assert os.getsid(grandchild) != os.getsid(child.popen.pid)
    assert alive(grandchild)
    how = child.stop(10)
    assert how == "ended on SIGTERM, 1 stray process(es) killed"
    assert not alive(grandchild)


def test_a_process_that_ignores_sigterm_is_killed_with_all_it_started(start) -> None:
    child, grandchild = family(start, "stubborn")
    how = child.stop(0.2)
    assert how.startswith("killed, did not end within 0 s of SIGTERM, 1 stray")
    assert child.exit_code == -signal.SIGKILL
    assert not alive(grandchild)


def test_strays_of_a_process_that_ended_by_itself_are_ended(start) -> None:
    child = start("sh", "-c", "setsid sleep 61 & echo $!")
    assert soon(lambda: child.exit_code is not None)
    assert soon(lambda: child.stdout.read_text().strip() != "")
    stray = int(child.stdout.read_text())
    # It has left the group that is killed first, and is no longer between two programs (its
    # environment is empty for that moment).
    assert soon(lambda: psutil.Process(stray).cmdline()[:1] == ["sleep"])
    assert os.getsid(stray) == stray
    assert child.stop(1) == "had ended, 1 stray process(es) killed"
    assert not alive(stray)


def test_ending_one_run_leaves_another_alone(start) -> None:
    one, two = start("sleep", "60"), start("sleep", "60")
    one.stop(5)
    assert one.exit_code is not None
    assert two.exit_code is None


# --- what a dead owner left behind ----------------------------------------------------------------

OWNER = """
import os, sys, time
from pathlib import Path
from patchbench.system import processes
processes.OWNER = sys.argv[1]
folder = Path(sys.argv[2])
child = processes.spawn(
    [sys.executable, "-c", sys.argv[3], "soft"], cwd=folder, env=dict(os.environ),
    stdout=folder / "child.out", stderr=folder / "child.err",
)
print(child.popen.pid, flush=True)
time.sleep(60)
"""


@pytest.fixture
def owner(tmp_path: Path, own_marks: str) -> Iterator[tuple[subprocess.Popen, int, int]]:
    """A process that launched a child with a grandchild; and their process ids."""
    command = [sys.executable, "-c", OWNER, own_marks, str(tmp_path), FAMILY]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment()) as process:
        child = int(process.stdout.readline())
        out = tmp_path / "child.out"
        assert soon(lambda: out.exists() and out.read_text().endswith("\n"))
        grandchild = int(out.read_text())
        yield process, child, grandchild
        process.kill()
        for pid in (child, grandchild):
            if alive(pid):
                os.kill(pid, signal.SIGKILL)


def test_leftovers_of_a_killed_owner_are_ended(owner) -> None:
    process, child, grandchild = owner
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert soon(lambda: not alive(child)), "the kernel ends a child with its parent"
    assert alive(grandchild)
    ended = processes.end_leftovers()
    assert len(ended) == 1
    assert ended[0].startswith(f"{grandchild} ")
    assert not alive(grandchild)
    assert processes.end_leftovers() == []


def test_processes_of_a_living_owner_are_left_alone(owner) -> None:
    _, child, grandchild = owner
    assert processes.end_leftovers() == []
    assert alive(child)
    assert alive(grandchild)


def test_a_zombie_owner_is_a_dead_one(owner) -> None:
    process, child, grandchild = owner
    process.send_signal(signal.SIGKILL)
    assert soon(lambda: psutil.Process(process.pid).status() == psutil.STATUS_ZOMBIE)
    assert soon(lambda: not alive(child))
    assert [name.split()[0] for name in processes.end_leftovers()] == [str(grandchild)]


def test_a_process_id_used_again_is_not_the_same_owner() -> None:
    mine = pid_space.identity(os.getpid())
    assert mine is not None
    pid, started, boot = mine.split(":")
    assert pid == str(os.getpid())
    assert pid_space.is_alive(mine)
    assert not pid_space.is_alive(f"{pid}:{int(started) - 1}:{boot}")
    assert not pid_space.is_alive(f"{pid}:{started}:another-boot")
    for nonsense in ("", ":", "x:1:2", "-1:1:2"):
        assert not pid_space.is_alive(nonsense)


def test_every_process_sees_the_same_identity_of_another() -> None:
    """An owner writes its own, years of uptime and clock changes later another job reads it."""
    code = f"from patchbench.system import pid_space; print(pid_space.identity({os.getpid()}))"
    said = subprocess.check_output([sys.executable, "-c", code], env=environment(), text=True)
    assert said.strip() == pid_space.identity(os.getpid())
    assert pid_space.identity(2**22 + 1) is None


NEVER_REAPS = "import subprocess, time; print(subprocess.Popen(['sleep', '60']).pid, flush=True)"


def test_a_killed_process_that_nobody_reaps_is_not_waited_for(
    start, monkeypatch: pytest.MonkeyPatch
) -> None:
    child = start(sys.executable, "-c", f"{NEVER_REAPS}; time.sleep(60)")
    assert soon(lambda: child.stdout.read_text().endswith("\n"))
    real = psutil.wait_procs
    monkeypatch.setattr(psutil, "wait_procs", lambda found, timeout: real(found, timeout=60))
    began = time.monotonic()
    processes.kill([psutil.Process(int(child.stdout.read_text()))])
    assert time.monotonic() - began < 30


# --- being told to stop ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_guard_sees_a_signal_and_says_which(guard: Guard, name: str) -> None:
    guard.check()
    os.kill(os.getpid(), signal.Signals[name])
    with pytest.raises(Stopped, match=f"stopped by {name}"):
        guard.check()


def test_a_wait_ends_with_the_condition_the_time_or_a_signal(guard: Guard) -> None:
    ticks = iter([False, False, True])
    assert processes.wait_until(lambda: next(ticks), 10, guard) is True
    assert processes.wait_until(lambda: False, 0.05, guard) is False
    os.kill(os.getpid(), signal.SIGTERM)
    with pytest.raises(Stopped):
        processes.wait_until(lambda: False, 10, guard)


def test_a_condition_that_already_holds_needs_no_time(guard: Guard) -> None:
    assert processes.wait_until(lambda: True, 0, guard) is True


RUN = "import subprocess, sys; subprocess.run(sys.argv[1:])"
WAIT = """
import os, sys, time
from pathlib import Path
from patchbench.errors import Stopped
from patchbench.system.processes import Guard, wait_until
guard = Guard()
Path(sys.argv[1]).write_text("ready")
try:
    wait_until(lambda: False, 30, guard)
except Stopped as stopped:
    Path(sys.argv[1]).write_text(str(stopped))
"""


def test_a_job_whose_starter_is_gone_stops_itself(tmp_path: Path) -> None:
    said = tmp_path / "said"
    starter = subprocess.Popen(
        [sys.executable, "-c", RUN, sys.executable, "-c", WAIT, str(said)], env=environment()
    )
    try:
        assert soon(lambda: said.exists() and said.read_text() == "ready")
    finally:
        starter.kill()
        starter.wait()
    assert soon(lambda: said.read_text() == "the run that started this job is gone")


def test_output_without_end_is_capped_with_head_and_tail(start, tmp_path: Path) -> None:
    program = (
        "import sys\nfor n in range(700000): sys.stdout.write(f'line {n} ' + 'x' * 90 + '\\n')"
    )
    child = start(sys.executable, "-c", program)
    child.popen.wait(60)
    child.stop(1)
    assert (tmp_path / "out").stat().st_size < 34 << 20
    lines = (tmp_path / "out").read_text().splitlines()
    assert lines[0].startswith("line 0 ")
    assert lines[-1].startswith("line 699999 ")
    assert any(line.startswith("[patchbench: ") for line in lines)


def test_what_a_process_prints_is_there_once_it_was_stopped(start) -> None:
    child = start(sys.executable, "-c", "import time; print('early', flush=True); time.sleep(60)")
    # The text and its end may come as two writes.
    assert soon(lambda: "\n" in child.stdout.read_text(), 20)
    assert child.stdout.read_text() == "early\n"  # live, for whoever looks at the log
    child.stop(2)
    assert child.stdout.read_text() == "early\n"
