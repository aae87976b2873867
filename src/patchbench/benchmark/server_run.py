"""Launch of a server: start, readiness, fixed prompts, windows, stop.

The judge measures the windows. Without a load (``measure: own``) the commit's own client does, from
the baseline's image, one process per window.
"""

from __future__ import annotations

from collections.abc import Iterator

from patchbench.benchmark import judge_run
from patchbench.benchmark.context import LaunchContext
from patchbench.benchmark.phases import (
    PhaseClock,
    await_client,
    exit_text,
    has_ended_soon,
    stopped_after,
    with_flags,
)
from patchbench.benchmark.server import Server, await_ready, check_output, start
from patchbench.errors import InfraFault
from patchbench.grading.run_folder import window_files
from patchbench.records import Phase


def run_server(launch: LaunchContext) -> list[Phase]:
    """Start the server, check its answers, measure all windows and stop it. The phases end with the
    first that failed. Raises Stopped, InfraFault, BadInput."""
    subject, limits = launch.task.subject, launch.task.protocol.limits
    server = start(launch)
    phases: list[Phase] = []
    ends: list[str] = []
    with stopped_after(server.child, limits.stop, ends.append):
        phases.append(await_ready(server, limits.start))
        if phases[-1].status == "ok" and subject.output_check:
            phases.append(check_output(server))
        if phases[-1].status == "ok":
            phases.extend(_measured(server))
        if phases[0].status == "ok" and (code := server.child.exit_code) is not None:
            died = f"server ended by itself: {exit_text(code)}"
            phases.append(PhaseClock("server_died").phase("failed", died, code))
        clock = PhaseClock("stop")
    phases = with_flags(phases, server.child.flags)
    return [*phases, clock.phase("ok", ends[0])] if phases[0].status == "ok" else phases


def _measured(server: Server) -> Iterator[Phase]:
    """Yield one phase of the judge, or one per window of the commit's own client up to the first
    that failed."""
    if server.launch.workload.load is not None:
        yield judge_run.measure(server)
        return
    for window in range(1, server.launch.task.protocol.windows + 1):
        phase = _own_client(server, window)
        yield phase
        if phase.status != "ok":
            return


def _own_client(server: Server, window: int) -> Phase:
    """Measure one window by the commit's own client."""
    launch, names = server.launch, window_files(window)
    clock, limits = PhaseClock("benchmark"), launch.task.protocol.limits
    client = launch.task.subject.clients["serving"]
    command = launch.command(client.command, window, port=str(server.port))
    writes = (launch.folder / names.result,)
    place = launch.place("client", beside=server.child, writes=writes)
    try:
        child = launch.start(launch.client_image, command, names.bench, place)
    except InfraFault:
        if not has_ended_soon(server.child):
            raise
        return clock.phase("failed", "the server had ended")
    with stopped_after(child, limits.stop):
        return await_client(child, clock, limits.benchmark, launch.guard, server.child)
