"""Signals to the run, to one of its jobs, to all of them."""

from __future__ import annotations

import re
import signal
import time

from tests.faults.case import Case
from tests.faults.kind import Kind, Step

ENDED_BY_USER = r"stopped by SIG|on user request|[Tt]erminating|[Ss]hutting down"
# How long a machine sleeps.
SLEEP_SECONDS = 4.0


def _says_so(case: Case) -> bool:
    """Return True if the run says that it was ended. Before it has begun, a signal ends it without
    a word, as it does any Python program."""
    output = case.output
    return "Building DAG" not in output or bool(re.search(ENDED_BY_USER, output))


def to_run(number: signal.Signals, *, group: bool = False) -> Step:
    """Return a strike that sends a signal to the run's Snakemake, or to its whole group."""
    return lambda case: case.signal(number, group=group)


def to_job(number: signal.Signals, stage: str = "") -> Step:
    """Return a strike that sends a signal to one of the run's jobs, of a stage or of any."""
    return lambda case: case.a_job(f"patchbench.workflow.stages.{stage}").send_signal(number)


def _sleep(case: Case) -> None:
    case.signal(signal.SIGSTOP, group=True)
    time.sleep(SLEEP_SECONDS)
    case.signal(signal.SIGCONT, group=True)


def _twice(case: Case) -> None:
    case.signal(signal.SIGINT, group=True)
    time.sleep(case.random.uniform(0.1, 1))
    if not case.over():
        case.signal(signal.SIGINT, group=True)


KINDS = (
    Kind("sigint-run", "SIGINT to Snakemake", to_run(signal.SIGINT), _says_so),
    Kind("sigterm-run", "SIGTERM to Snakemake", to_run(signal.SIGTERM), _says_so),
    Kind("sigkill-run", "SIGKILL to Snakemake alone", to_run(signal.SIGKILL)),
    Kind(
        "sigint-group",
        "Ctrl-C: SIGINT to the process group",
        to_run(signal.SIGINT, group=True),
        _says_so,
    ),
    Kind("sigint-twice", "Ctrl-C pressed twice", _twice, _says_so),
    Kind(
        "sigterm-group",
        "SIGTERM to the process group",
        to_run(signal.SIGTERM, group=True),
        _says_so,
    ),
    Kind(
        "sighup-group",
        "the terminal goes away: SIGHUP to the process group",
        to_run(signal.SIGHUP, group=True),
    ),
    Kind("sigkill-group", "SIGKILL to the process group", to_run(signal.SIGKILL, group=True)),
    Kind("sigkill-all", "every process of the run at once", lambda case: case.kill()),
    Kind(
        "sigkill-job",
        "SIGKILL to one job",
        to_job(signal.SIGKILL),
        moments=("fetch", "build", "launch", "launch", "grading"),
    ),
    Kind(
        "sigterm-job",
        "SIGTERM to one job",
        to_job(signal.SIGTERM),
        moments=("build", "launch", "launch"),
    ),
    Kind("machine-sleeps", "all of the run stopped for a while (SIGSTOP, SIGCONT)", _sleep),
)
