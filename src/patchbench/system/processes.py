"""Plain processes that always end: groups, time limits, and a search for what a dead run left.

Each child carries its owner's process id and start time in its environment. Whoever finds such
a process with a dead owner may end it, so a SIGKILL of the whole run leaves nothing for long.
"""

from __future__ import annotations

import ctypes
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
from patchbench.system.raw_logs import Sink

OWNER, RUN = "PATCHBENCH_OWNER", "PATCHBENCH_RUN"
PR_SET_PDEATHSIG = 1
TICK_SECONDS = 0.02
PIECE = 1 << 16
KILL_SECONDS = 10.0
# How long a process is waited for that is becoming another program, how far apart the looks, and
# how often an empty environment must lie in the same place.
EXEC_SECONDS, EXEC_TICK, EXEC_LOOKS = 1.0, 0.001, 3
NOWHERE = "0"

# Looked up now: between fork and exec there is no time for it.
_prctl = ctypes.CDLL(None, use_errno=True).prctl


class Checks(Protocol):
    """Whom a job that waits asks whether it should still go on."""

    def check(self) -> None:
        """Raise Stopped if not."""


class Guard:
    """Asks, while a job waits, whether it should still go on.

    Signals only set a flag, so that a job ends its children and leaves its files whole.
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
    """Wait until the condition holds (True) or the time is up (False)."""
    deadline = time.monotonic() + seconds
    while not condition():
        guard.check()
        if time.monotonic() > deadline:
            return False
        time.sleep(tick)
    return True


def identity(pid: int) -> str | None:
    """A process id with its start in clock ticks since boot and the boot's id, or None if there is
    no such living process. Ids are used again, this triple is not; and a clock that is set anew
    does not change it, as it would a time of day. A zombie is dead: in a container nobody may
    ever reap it."""
    try:
        # Field 2, the name, may hold blanks and brackets: count from its closing bracket.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return None
    return None if fields[0] in ("Z", "X") else f"{pid}:{fields[19]}:{boot}"


class Pump(threading.Thread):
    """Copies what a process writes into a file that can't grow without end."""

    def __init__(self, stream: IO[bytes], path: Path) -> None:
        super().__init__(daemon=True)
        self.stream, self.sink = stream, Sink(path)
        self.start()

    def run(self) -> None:
        """Copy until the last writer is gone."""
        with self.stream:
            while data := os.read(self.stream.fileno(), PIECE):
                self.sink.write(data)
        self.sink.close()


class Child(NamedTuple):
    """A started process, the mark that all its descendants carry, and where it writes."""

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
        """A plain process has no sandbox whose limits it could run into."""
        return ()

    def stop(self, seconds: float) -> str:
        """See ``stop``."""
        return stop(self, seconds)


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
    """Start a process in a session of its own, with its output in two files. ``keep`` are
    descriptors that it inherits (the lock of its GPU slot)."""
    mark = uuid.uuid4().hex
    environment = {**env, OWNER: identity(os.getpid()) or "", RUN: mark}
    popen = subprocess.Popen(
        list(command),
        cwd=cwd,
        env=environment,
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


def stop(child: Child, seconds: float) -> str:
    """End a process and all that it started: SIGTERM, after ``seconds`` SIGKILL, then whatever
    still carries its mark. Returns how it ended, in words."""
    how = "had ended"
    if child.popen.poll() is None:
        how = "ended on SIGTERM"
        _signal_group(child, signal.SIGTERM)
        try:
            child.popen.wait(seconds)
        except subprocess.TimeoutExpired:
            how = f"killed, did not end within {seconds:.0f} s of SIGTERM"
    _signal_group(child, signal.SIGKILL)
    child.popen.wait()
    if strays := marked(RUN, lambda value: value == child.mark):
        end(strays)
        how += f", {len(strays)} stray process(es) killed"
    for pump in child.pumps:
        # A writer that carries no mark of ours may live on: its words are not waited for.
        pump.join(KILL_SECONDS)
        if pump.sink.failed is not None:
            raise pump.sink.failed
    return how


def _signal_group(child: Child, number: int) -> None:
    try:
        os.killpg(child.popen.pid, number)
    except ProcessLookupError:
        return


def marked(name: str, wanted: Callable[[str], bool]) -> list[psutil.Process]:
    """Processes whose environment has a variable with a wanted value."""
    found = []
    # Asked after every launch, of all processes of the machine: a look at each environment takes a
    # tenth of what psutil takes to describe a process.
    for pid in filter(str.isdigit, os.listdir("/proc")):  # noqa: PTH208
        value = _variable(f"/proc/{pid}", f"{name}=".encode())
        if value is None or int(pid) == os.getpid() or not wanted(value):
            continue
        with suppress(psutil.Error):
            process = psutil.Process(int(pid))
            if process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


def _variable(folder: str, start: bytes) -> str | None:
    """The value of an environment's variable; None if there is none, or nobody may look."""
    try:
        words = _environment(folder).split(b"\0")
    except OSError:
        return None
    value = next((word[len(start) :] for word in words if word.startswith(start)), None)
    return None if value is None else value.decode(errors="replace")


def _environment(folder: str) -> bytes:
    """A process's environment. It is empty for a moment while a process becomes another program,
    and on a busy machine that moment can be long. So an empty one counts only if it had a place,
    and the same one, for some looks."""
    deadline, place, same = time.monotonic() + EXEC_SECONDS, NOWHERE, 0
    while True:
        with open(f"{folder}/environ", "rb") as file:  # noqa: PTH123  (hundreds of times in a row)
            found = file.read()
        if found or same == EXEC_LOOKS or time.monotonic() > deadline:
            return found
        before, place = place, _environment_place(folder)
        same = same + 1 if before == place != NOWHERE else 0
        time.sleep(EXEC_TICK)


def _environment_place(folder: str) -> str:
    """Where a process's environment ends: proc_pid_stat(5), field 51, the last to be set. Each
    program gets a random place. Raises OSError for what has no program (kernel threads, zombies).
    """
    os.readlink(f"{folder}/exe")  # noqa: PTH115
    with open(f"{folder}/stat") as file:  # noqa: PTH123
        return file.read().rpartition(")")[2].split()[48]


def end(processes: Sequence[psutil.Process]) -> None:
    """Kill processes and wait until they are gone."""
    for process in processes:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue
    # A killed process that nobody reaps stays as a zombie; that is gone enough.
    deadline = time.monotonic() + KILL_SECONDS
    while any(identity(process.pid) for process in processes) and time.monotonic() < deadline:
        time.sleep(TICK_SECONDS)


def _alive(owner: str) -> bool:
    pid = owner.partition(":")[0]
    return pid.isdigit() and identity(int(pid)) == owner


def end_leftovers() -> list[str]:
    """End every process whose owner is dead; returns what was ended, for the journal."""
    left = marked(OWNER, lambda value: not _alive(value))
    names = []
    for process in left:
        try:
            names.append(f"{process.pid} {' '.join(process.cmdline()[:6])}")
        except psutil.Error:
            names.append(str(process.pid))
    end(left)
    return names
