"""Server of a launch: start, readiness, the fixed prompts."""

from __future__ import annotations

import contextlib
import json
import random
import socket
from pathlib import Path
from typing import NamedTuple

from patchbench.benchmark.context import HOST, SEED, LaunchContext
from patchbench.benchmark.phases import (
    PhaseClock,
    exit_text,
    has_ended_soon,
    stopped_after,
    with_flags,
)
from patchbench.errors import InfraFault, infra_fault
from patchbench.grading.run_folder import ANSWERS, PROBE_BROKE, SERVER
from patchbench.inside import probe
from patchbench.records import Phase
from patchbench.runtimes import Child
from patchbench.system import processes
from patchbench.system.files import write_bytes

# A probe keeps its own time limit; this is added for its start and end.
PROBE_SECONDS = 10.0
# Below the range from which the kernel takes ports for outgoing connections (32768 and up).
PORTS = range(20000, 32000)


class Server(NamedTuple):
    """A started server of a launch."""

    launch: LaunchContext
    child: Child
    port: int
    clock: PhaseClock


def start_only(launch: LaunchContext, seconds: float) -> Phase:
    """Start the server, wait until it is ready and stop it: the proof that an image can serve.
    Raises Stopped, InfraFault."""
    server = start(launch)
    with stopped_after(server.child, launch.task.protocol.limits.stop):
        phase = await_ready(server, seconds)
    return with_flags([phase], server.child.flags)[0]


def start(launch: LaunchContext) -> Server:
    """Start the server of a launch on a free port. Raises InfraFault."""
    clock, port = PhaseClock("server_start"), free_port()
    command = launch.command(launch.task.subject.server.command, port=str(port))
    child = launch.start(launch.image, command, SERVER, launch.place(SERVER))
    return Server(launch, child, port, clock)


def await_ready(server: Server, seconds: float) -> Phase:
    """Wait until the server is ready, has ended or ``seconds`` are over. Raises Stopped,
    InfraFault."""
    clock, path = server.clock, server.launch.task.subject.server.ready_path
    code, stderr = _probe(server, "ready", path, seconds)
    if _is_broken(server, code):
        return clock.phase("failed", _how_broken(code, stderr), flags=(PROBE_BROKE,))
    if (ended := server.child.exit_code) is not None:
        text = f"server process {exit_text(ended)} before it was ready"
        return clock.phase("failed", text, ended)
    if code != 0:
        return clock.phase("timeout", f"not ready within {seconds:.0f} s")
    return clock.phase("ok", f"{path} answered")


def _is_broken(server: Server, code: int | None) -> bool:
    """Return True if a probe ended neither well nor because its time was over, beside a server
    that lives: that tells nothing of the server."""
    return code not in (0, None, probe.TOO_LATE) and not has_ended_soon(server.child)


def _how_broken(code: int | None, stderr: Path) -> str:
    said = stderr.read_text(errors="replace").strip() if stderr.is_file() else ""
    last = (said.splitlines() or ["no message"])[-1]
    return f"the probe broke: {exit_text(code or 0)}: {last}"


def _probe(
    server: Server, mode: str, path: str, seconds: float, *more: str
) -> tuple[int | None, Path]:
    """Run a probe until it or the server ends. Returns its exit code (None if neither ended in
    time) and the file of its stderr."""
    launch = server.launch
    try:
        child = launch.start_probe(server.child, mode, server.port, path, seconds, *more)
    except InfraFault:
        # Nothing can join the network of a server that has just ended.
        if not has_ended_soon(server.child):
            raise
        return None, launch.folder
    with stopped_after(child, launch.task.protocol.limits.stop):
        processes.wait_until(
            lambda: child.exit_code is not None or server.child.exit_code is not None,
            seconds + PROBE_SECONDS,
            launch.guard,
        )
        code = child.exit_code
    if code == 0 and mode == "ready":
        for file in (child.stdout, child.stderr):
            file.unlink(missing_ok=True)
    return code, child.stderr


def check_output(server: Server) -> Phase:
    """Send the fixed prompts at temperature 0 and write the answers to the launch's folder. Raises
    Stopped, InfraFault."""
    launch = server.launch
    check, limit = launch.task.subject.output_check, launch.task.protocol.limits.check
    assert check is not None
    clock = PhaseClock("output_check")
    common = {"model": launch.command(["{model_name}"])[0], "max_tokens": check.max_tokens}
    bodies = [
        {**common, "prompt": prompt, "temperature": 0, "seed": SEED} for prompt in check.prompts
    ]
    code, stderr = _probe(server, "ask", check.path, limit, json.dumps(bodies))
    if code == 0:
        stdout = stderr.with_suffix(".stdout")
        write_bytes(launch.folder / ANSWERS, stdout.read_bytes())
        stdout.unlink()
        stderr.unlink()
        return clock.phase("ok", f"{len(bodies)} prompts answered")
    if code != probe.FAILED and _is_broken(server, code):
        return clock.phase("failed", _how_broken(code, stderr), flags=(PROBE_BROKE,))
    if code == probe.FAILED:
        has_ended_soon(server.child)
        text = stderr.read_text(errors="replace").strip()
        return clock.phase("failed", text, server.child.exit_code)
    if server.child.exit_code is not None:
        return clock.phase("failed", "the server ended meanwhile", server.child.exit_code)
    return clock.phase("timeout", f"no answer to the fixed prompts within {limit:.0f} s")


def free_port() -> int:
    """Return a free loopback port. Raises InfraFault if there is none."""
    for port in random.sample(PORTS, 50):
        with socket.socket() as listener, contextlib.suppress(OSError):
            listener.bind((HOST, port))
            return port
    raise infra_fault("infra.no_port", f"50 ports of {PORTS} on {HOST} tried, none is free")
