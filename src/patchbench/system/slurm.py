"""This machine's name, and the Slurm job, node and GPUs of this process, from its environment.

Outside of Slurm there is one machine, no job and no assigned GPU.
"""

from __future__ import annotations

import os
import platform
import time

ASK_SECONDS = 20.0
# A waiting process asks often; Slurm's controller gets a question only after so many seconds.
AGAIN_SECONDS = 10.0
# Set by a run that sends jobs to other machines, each with an engine and images of its own.
PER_NODE = "PATCHBENCH_PER_NODE"
# States in which a job's processes may still run (squeue's %T). A requeued job is PENDING again.
ALIVE = ("RUNNING", "COMPLETING", "CONFIGURING", "SUSPENDED", "STOPPED", "SIGNALING", "STAGE_OUT")
UNKNOWN_JOB = "invalid job id"


def host() -> str:
    """Return the machine's own name, without which process ids and boot ids mean nothing."""
    return platform.node()


def node() -> str:
    """Return Slurm's name of the machine; outside of Slurm its own."""
    return os.environ.get("SLURMD_NODENAME") or host()


def job() -> str:
    """Return the id of this process's Slurm job, or an empty text."""
    return os.environ.get("SLURM_JOB_ID", "")


def images_per_node() -> bool:
    """Return True if each node has images of its own: a job makes those that its node lacks, and
    images that no job on the node uses may be removed at any time."""
    return bool(os.environ.get(PER_NODE))


def listed(text: str) -> list[str]:
    """Split a list at its commas."""
    return [entry.strip() for entry in text.split(",") if entry.strip()]


def assigned_gpus() -> list[str]:
    """Return the node's numbers of the GPUs of this job step or job; none outside of Slurm.
    CUDA_VISIBLE_DEVICES won't do: if a job sees only its own devices (ConstrainDevices), it counts
    them from 0."""
    for name in ("SLURM_STEP_GPUS", "SLURM_JOB_GPUS"):
        if numbers := listed(os.environ.get(name, "")):
            return numbers
    return []


def is_over(other: str) -> bool:
    """Return True if Slurm says that no process of a job runs any more; False if Slurm can't be
    asked. This very job counts as over: it was requeued, and the question is about its last run."""
    if other and other == job():
        return True
    when, over = _answers.get(other, (-AGAIN_SECONDS, False))
    if not over and time.monotonic() - when >= AGAIN_SECONDS:
        over = _ask(other)
        _answers[other] = time.monotonic(), over
    return over


_answers: dict[str, tuple[float, bool]] = {}


def _ask(other: str) -> bool:
    import subprocess  # every job imports this module, hardly any asks

    try:
        answer = subprocess.run(
            ["squeue", "--noheader", "--jobs", other, "--format", "%T"],
            capture_output=True,
            text=True,
            timeout=ASK_SECONDS,
        )
    except (OSError, subprocess.SubprocessError):
        return False
    return over_says(answer.returncode, answer.stdout, answer.stderr)


def over_says(code: int, out: str, err: str) -> bool:
    """Interpret squeue's exit code and output. A job that Slurm has forgotten is over."""
    if code != 0:
        return UNKNOWN_JOB in err.lower()
    return not any(state.strip() in ALIVE for state in out.splitlines())
