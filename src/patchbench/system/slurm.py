"""Which machine this is, and what Slurm gave to this process if it runs inside one of its jobs.

Everything is read from the environment that Slurm makes for a job step; outside of Slurm there is
one machine, no job and no assigned GPU.
"""

from __future__ import annotations

import os
import platform
import time

ASK_SECONDS = 20.0
# Who waits for a lock asks often; Slurm's controller shouldn't hear of each time.
AGAIN_SECONDS = 10.0
# Set by a run whose jobs go to other machines, each with an engine and images of its own.
PER_NODE = "PATCHBENCH_PER_NODE"
# States in which a job's processes may still run (squeue's %T). A requeued job is PENDING again.
ALIVE = ("RUNNING", "COMPLETING", "CONFIGURING", "SUSPENDED", "STOPPED", "SIGNALING", "STAGE_OUT")
UNKNOWN_JOB = "invalid job id"


def host() -> str:
    """The machine's own name: process ids and boot ids mean something only together with it."""
    return platform.node()


def node() -> str:
    """The machine as Slurm calls it, or its own name outside of Slurm."""
    return os.environ.get("SLURMD_NODENAME") or host()


def job() -> str:
    """Id of the Slurm job that this process belongs to, or nothing."""
    return os.environ.get("SLURM_JOB_ID", "")


def images_per_node() -> bool:
    """Whether a job may find itself on a machine that has none of its images: it then makes them,
    and images that no job on this machine uses may go at any time."""
    return bool(os.environ.get(PER_NODE))


def listed(text: str) -> list[str]:
    """Entries of a list with commas."""
    return [entry.strip() for entry in text.split(",") if entry.strip()]


def assigned_gpus() -> list[str]:
    """Numbers on the node of the GPUs that Slurm gave to this step or job; none outside of Slurm.
    Where a job sees only its own devices (ConstrainDevices), CUDA_VISIBLE_DEVICES counts those from
    0 and would call two different GPUs the same."""
    for name in ("SLURM_STEP_GPUS", "SLURM_JOB_GPUS"):
        if found := listed(os.environ.get(name, "")):
            return found
    return []


def is_over(other: str) -> bool:
    """Whether Slurm says that no process of a job runs any more. This very job is over too: who
    asks is its next incarnation, for it was requeued. False if Slurm can't be asked."""
    if other and other == job():
        return True
    asked, over = _answers.get(other, (-AGAIN_SECONDS, False))
    if not over and time.monotonic() - asked >= AGAIN_SECONDS:
        over = _ask(other)
        _answers[other] = time.monotonic(), over
    return over


_answers: dict[str, tuple[float, bool]] = {}


def _ask(other: str) -> bool:
    import subprocess  # every job imports this module, next to none asks

    try:
        said = subprocess.run(
            ["squeue", "--noheader", "--jobs", other, "--format", "%T"],
            capture_output=True,
            text=True,
            timeout=ASK_SECONDS,
        )
    except (OSError, subprocess.SubprocessError):
        return False
    return over_says(said.returncode, said.stdout, said.stderr)


def over_says(code: int, out: str, err: str) -> bool:
    """What squeue's exit code and words say of it. A job that Slurm has forgotten is over."""
    if code != 0:
        return UNKNOWN_JOB in err.lower()
    return not any(state.strip() in ALIVE for state in out.splitlines())
