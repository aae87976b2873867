"""One launch of one arm: a server under load, or the commit's own offline benchmark.

Every phase has a time limit, every end takes the whole process tree along, and only facts are
recorded. Blame is decided later (see ``failures.attribution``).
"""

from __future__ import annotations

from pathlib import Path

from patchbench.benchmark.context import LaunchContext
from patchbench.benchmark.offline_run import run_offline
from patchbench.benchmark.server_run import run_server
from patchbench.errors import infra_fault
from patchbench.records import Phase
from patchbench.system import processes

# If a whole job is ended (scancel, a pre-emption), the server may get its signal before us.
SIGNAL_SECONDS = 0.5


def run(launch: LaunchContext) -> tuple[Phase, ...]:
    """Launch the arm once and return its phases. Raises Stopped when told to end, InfraFault if
    the model's folder is missing, BadInput if the load can't be sent; the process tree is gone
    either way."""
    check_model(launch)
    served = launch.workload.load is not None or launch.workload.type == "serving"
    phases = run_server(launch) if served else run_offline(launch)
    if any(phase.status != "ok" for phase in phases):
        # Raises Stopped if this job is told to end too: then the arm did not fail.
        processes.wait_until(lambda: False, SIGNAL_SECONDS, launch.guard)
        check_model(launch)  # a disk that was unmounted meanwhile is no arm's fault
    return tuple(phases)


def check_model(launch: LaunchContext) -> None:
    """Raise InfraFault if the workload's model is a local folder that does not exist."""
    task, model = launch.task, Path(launch.workload.model)
    if launch.workload.model in task.subject.model.values() and not model.exists():
        facts = f"commit {task.commit[:8]}", f"arm {launch.arm}", f"no {model}"
        step = "put the model back (or mount its disk)"
        raise infra_fault("infra.model_missing", *facts, step=step)
