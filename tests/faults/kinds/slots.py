"""Two GPU slots: blocks of two commits side by side, killed, held up, beside other runs."""

from __future__ import annotations

import signal
import subprocess
import sys

from tests.faults.case import Case
from tests.faults.kind import Kind
from tests.faults.kinds.signals import to_job, to_run
from tests.faults.moments import AMID

# Another program holds the first slot for a while after the same command has begun.
HELD_SECONDS = 6
HOLD = """
import fcntl, os, sys, time
fd = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT, 0o600)
fcntl.flock(fd, fcntl.LOCK_EX)
print("held", flush=True)
time.sleep(float(sys.argv[2]))
"""
SPACE = ("unshare", "--pid", "--fork", "--mount-proc")
BESIDE = "beside"


def _first_taken(case: Case) -> None:
    case.kill()
    case.remember()
    lock = case.project.folder / ".locks" / "gpu0.lock"
    words = [sys.executable, "-c", HOLD, str(lock), str(HELD_SECONDS)]
    holder = subprocess.Popen(words, stdout=subprocess.PIPE)
    case.undo.append(lambda: (holder.kill(), holder.wait()))
    assert holder.stdout is not None
    holder.stdout.readline()
    case.start()


def _beside(case: Case, *prefix: str) -> None:
    """Work off another campaign in the same project: other results, one work folder, one set of
    locks; and wait for its end."""
    with (case.project.folder / "beside.log").open("ab") as log:
        before, case.prefix = case.prefix, prefix
        other = case.popen(log, "--config", f"results={BESIDE}", "--nolock")
        case.prefix = before
    case.undo.append(other.kill)
    code = other.wait(case.kind.seconds)
    case.note = f"the other run ended with {code}"


def _both_finished(case: Case) -> bool:
    """Return True if the run beside it finished, too."""
    assert case.process is not None
    report = case.project.folder / BESIDE / "report.md"
    return case.process.returncode == 0 and report.is_file() and case.note.endswith("with 0")


def _from_space(case: Case) -> None:
    case.prefix = SPACE


P = "process"
KINDS = (
    Kind("slots-sigkill-group", "SIGKILL to the process group", to_run(signal.SIGKILL, group=True),
         moments=AMID, runtime=P, slots=2),
    Kind("slots-sigkill-job", "SIGKILL to one block's job", to_job(signal.SIGKILL, "run_benchmark"),
         moments=("launch",), runtime=P, slots=2),
    Kind("slots-sigterm-group", "SIGTERM to the process group", to_run(signal.SIGTERM, group=True),
         moments=("launch",), runtime=P, slots=2),
    Kind("slots-first-taken", "SIGKILL to all; another program holds the first slot for a while",
         _first_taken, moments=("between",), runtime=P, slots=2),
    Kind("two-runs-one-work", "another run with results of its own in the same work folder",
         _beside, _both_finished, moments=AMID, runtime=P),
    Kind("space-beside", "another run in a namespace of processes of its own",
         lambda case: _beside(case, *SPACE), _both_finished, moments=AMID, runtime=P),
    Kind("space-within", "the run is in a namespace of processes, another run is outside",
         _beside, _both_finished, prepare=_from_space, moments=AMID, runtime=P),
)  # fmt: skip
