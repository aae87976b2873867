"""Processes that always end: process groups, time limits, and a search for strays.

Each child carries its owner's identity and a mark of its own in its environment, and so do all its
descendants. Descendants that left the process group are found by the mark when the child is
stopped; if a whole run is killed by SIGKILL, the next run finds them by their dead owner.
"""

from __future__ import annotations

import ctypes
import io
import os
import signal
import subprocess
import threading
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import IO, NamedTuple, Protocol

import psutil

from patchbench.errors import Stopped
from patchbench.system.capped_log import Capped
from patchbench.system.pid_space import identity, is_dead, own_mark

# Patched code sees these names: they say nothing about who asks.
OWNER, RUN = "PROCESS_OWNER", "PROCESS_RUN"
PR_SET_PDEATHSIG = 1
# Pause between two looks at a process, and its share of the time waited so far: the end of a short
# wait is seen at once, and a long one costs little.
TICK_SECONDS, TICK_SHARE = 0.02, 0.02
PIECE = 1 << 16
KILL_SECONDS = 10.0

# Looked up at import: between fork and exec no library may be loaded.
_prctl = ctypes.CDLL(None, use_errno=True).prctl


class Checks(Protocol):
    """Tells a waiting job when to give up."""

    def check(self) -> None:
        """Raise Stopped if the job should give up."""


class Guard:
    """Tells a waiting job when to give up: on a signal, or when the process that started it died.

    Signal handlers only set a flag, so that a job ends its children and leaves its files whole.
    """

    def __init__(self) -> None:
        self.parent = os.getppid()
        self.signal: int | None = None
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._remember)

    def _remember(self, number: int, _frame: FrameType | None) -> None:
        self.signal = number

    def check(self) -> None:
        """Raise Stopped if a signal came or the parent process is gone."""
        if self.signal is not None:
            raise Stopped(f"stopped by {signal.Signals(self.signal).name}")
        if os.getppid() != self.parent:
            raise Stopped("the run that started this job is gone")


def wait_until(
    condition: Callable[[], bool], seconds: float, guard: Guard, tick: float = TICK_SECONDS
) -> bool:
    """Wait until the condition holds (True) or the time is up (False). Raises Stopped."""
    began = time.monotonic()
    while not condition():
        guard.check()
        if (waited := time.monotonic() - began) > seconds:
            return False
        time.sleep(min(tick, 0.001 + TICK_SHARE * waited))
    return True


class Pump(threading.Thread):
    """Copies a process's output into a file of bounded size."""

    def __init__(self, stream: IO[bytes], path: Path) -> None:
        super().__init__(daemon=True)
        self.stream, self.sink = stream, Capped(path)
        self.start()

    def run(self) -> None:
        """Copy until the last writer is gone."""
        with self.stream:
            while data := os.read(self.stream.fileno(), PIECE):
                self.sink.write(data)
        self.sink.close()


class Child(NamedTuple):
    """A started process, the mark that all its descendants carry, and the files of its output."""

    popen: subprocess.Popen[bytes]
    mark: str
    stdout: Path
    stderr: Path
    pumps: tuple[Pump, ...] = ()

    @property
    def exit_code(self) -> int | None:
        """None while it runs; negative is the number of the signal that ended it."""
        return self.popen.poll()

    @property
    def flags(self) -> tuple[str, ...]:
        """Empty: a plain process has no sandbox and no limits."""
        return ()

    @property
    def cpu_seconds(self) -> float | None:
        """Processor seconds of it and its descendants so far; None once it has ended."""
        if self.popen.poll() is not None:
            return None
        total = 0.0
        for process in with_variable(RUN, lambda value: value == self.mark):
            with suppress(psutil.Error):
                times = process.cpu_times()
                total += times.user + times.system + times.children_user + times.children_system
        return total

    def stop(self, seconds: float) -> str:
        """End the process and all that it started: SIGTERM to its group, after ``seconds`` SIGKILL,
        then SIGKILL to whatever still carries its mark. Return in words how it ended. Raises
        InfraFault if its output could not be written."""
        how = "had ended"
        if self.popen.poll() is None:
            how = "ended on SIGTERM"
            self._signal_group(signal.SIGTERM)
            try:
                self.popen.wait(seconds)
            except subprocess.TimeoutExpired:
                how = f"killed, did not end within {seconds:.0f} s of SIGTERM"
        self._signal_group(signal.SIGKILL)
        self.popen.wait()
        strays = 0
        while marked := with_variable(RUN, lambda value: value == self.mark):
            strays += len(marked)
            if not kill(marked):
                break
        how += f", {strays} stray process(es) killed" if strays else ""
        for pump in self.pumps:
            # A descendant that cleared its environment may still hold the pipe open.
            pump.join(KILL_SECONDS)
            if pump.sink.failed is not None:
                raise pump.sink.failed
        return how

    def _signal_group(self, number: int) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.popen.pid, number)


def _die_with_parent() -> None:
    _prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def spawn(
    command: Sequence[str],
    *,
    cwd: Path,
    env: Mapping[str, str],
    stdout: Path,
    stderr: Path,
    keep: Sequence[int] = (),
) -> Child:
    """Start a process in a session of its own, with its output in two files. It inherits the
    descriptors in ``keep`` (the locks of its GPU slots)."""
    mark = uuid.uuid4().hex
    popen = subprocess.Popen(
        list(command),
        cwd=cwd,
        env={**env, OWNER: own_mark(), RUN: mark},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        bufsize=0,
        start_new_session=True,
        pass_fds=tuple(keep),
        preexec_fn=_die_with_parent,
    )
    assert popen.stdout is not None and popen.stderr is not None
    pumps = (Pump(popen.stdout, stdout), Pump(popen.stderr, stderr))
    return Child(popen, mark, stdout, stderr, pumps)


def with_variable(name: str, accepts: Callable[[str], bool]) -> list[psutil.Process]:
    """Return the processes (except this one) that have the variable with an accepted value in their
    environment. Zombies and other users' processes have no readable environment."""
    found = []
    for pid in psutil.pids():
        # Few have it: a process object for each would take five times as long.
        if pid != os.getpid() and f"{name}=".encode() in _environment(pid):
            with suppress(psutil.Error):
                process = psutil.Process(pid)
                value = process.environ().get(name)
                if value is not None and accepts(value):
                    found.append(process)
    return found


def _environment(pid: int) -> bytes:
    try:
        with io.FileIO(f"/proc/{pid}/environ") as file:
            return file.readall()
    except OSError:
        return b""


def kill(processes: Sequence[psutil.Process]) -> bool:
    """Kill processes and wait until they are dead (or zombies), KILL_SECONDS at most. Return True
    if all are."""
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    deadline = time.monotonic() + KILL_SECONDS
    while living := any(identity(process.pid) for process in processes):
        if time.monotonic() > deadline:
            break
        time.sleep(TICK_SECONDS)
    return not living


def end_leftovers() -> list[str]:
    """Kill every process with a dead owner; return their process ids and commands. An owner that
    can't be seen from here (of another namespace) counts as alive."""
    left = with_variable(OWNER, is_dead)
    names = []
    for process in left:
        try:
            names.append(f"{process.pid} {' '.join(process.cmdline()[:6])}")
        except psutil.Error:
            names.append(str(process.pid))
    kill(left)
    return names
