"""One launch of one arm: server, fixed prompts, client, stop; or one offline process.

Every phase has a time limit, every end takes the whole process tree along, and what happened is
written down as facts. Nothing here says who is to blame.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import random
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from patchbench import processes
from patchbench.errors import InfraFault
from patchbench.files import write_json
from patchbench.grading import (
    ANSWERS,
    BENCH_ERR,
    BENCH_OUT,
    RESULT,
    SERVER_ERR,
    SERVER_OUT,
)
from patchbench.processes import Child, Guard
from patchbench.records import Phase, Task, Workload
from patchbench.runtimes import Runtime
from patchbench.templates import Value, expand

HOST = "127.0.0.1"
# How long a client may go on after its server died: it may still report failed requests.
GRACE_SECONDS = 3.0
SEED = 0
MAX_ANSWER_BYTES = 1 << 20
# Below the range from which the kernel takes ports for outgoing connections (32768 and up).
PORTS = range(20000, 32000)


class Launch(NamedTuple):
    """What a launch needs to know. ``judge`` is the baseline's image: its client measures all."""

    task: Task
    workload: Workload
    image: str
    judge: str
    folder: Path
    runtime: Runtime
    guard: Guard
    env: dict[str, str]
    keep: Sequence[int]

    def start(self, image: str, command: Sequence[str], out: str, err: str) -> Child:
        """Start a process in an image with its output in the run's folder."""
        return self.runtime.launch(
            image,
            command,
            env={**self.workload.env, **self.env},
            stdout=self.folder / out,
            stderr=self.folder / err,
            keep=self.keep,
        )

    def command(self, words: Sequence[str], **more: Value) -> list[str]:
        """Fill a command's placeholders with this launch's values."""
        folder = self.folder.resolve()
        values: dict[str, Value] = {
            "python": self.runtime.python(self.task),
            "host": HOST,
            "model": str(Path(self.workload.model).absolute())
            if Path(self.workload.model).exists()
            else self.workload.model,
            "model_name": self.workload.model.rstrip("/").rpartition("/")[2],
            "seed": str(SEED),
            "server_args": self.workload.server_args,
            "client_args": self.workload.client_args,
            "result_dir": str(folder),
            "result_name": RESULT,
            "result": str(folder / RESULT),
            "check_args": (),
        }
        return expand(words, values | more)


def run(launch: Launch) -> tuple[Phase, ...]:
    """Launch the arm once. Raises Stopped when told to end; the process tree is gone either way."""
    offline = launch.workload.type != "serving"
    return tuple(_offline(launch) if offline else _serving(launch))


@contextlib.contextmanager
def _tree(
    child: Child, seconds: float, ended: Callable[[str], None] = lambda _: None
) -> Iterator[None]:
    try:
        yield
    finally:
        ended(processes.stop(child, seconds))


class Clock:
    """Measures one phase, seconds."""

    def __init__(self, name: str) -> None:
        self.name, self.started = name, time.monotonic()

    def phase(self, status: str, detail: str = "", exit_code: int | None = None) -> Phase:
        """The record of the phase, ending now."""
        return Phase(
            name=self.name,
            status=status,  # type: ignore[arg-type]
            seconds=round(time.monotonic() - self.started, 3),
            exit_code=exit_code,
            detail=detail,
        )


def _serving(launch: Launch) -> Iterator[Phase]:
    limits, subject = launch.task.protocol.limits, launch.task.subject
    port = free_port()
    clock = Clock("server_start")
    command = launch.command(subject.server.command, port=str(port))
    server = launch.start(launch.image, command, SERVER_OUT, SERVER_ERR)
    ends: list[str] = []
    with _tree(server, limits.stop, ends.append):
        yield (ready := _await_ready(launch, server, port, clock))
        if ready.status != "ok":
            return
        phases = [_check_output(launch, server, port)] if subject.output_check else []
        if all(phase.status == "ok" for phase in phases):
            phases.append(_client(launch, server, port))
        yield from phases
        if (code := server.exit_code) is not None:
            yield Clock("server_died").phase(
                "failed", f"server ended by itself: {ended(code)}", code
            )
        clock = Clock("stop")
    yield clock.phase("ok", ends[0])


def _await_ready(launch: Launch, server: Child, port: int, clock: Clock) -> Phase:
    limits = launch.task.protocol.limits
    path = launch.task.subject.server.ready_path

    def settled() -> bool:
        return server.exit_code is not None or _answers(port, path)

    in_time = processes.wait_until(settled, limits.start, launch.guard)
    if (code := server.exit_code) is not None:
        return clock.phase("failed", f"server process {ended(code)} before it was ready", code)
    if not in_time:
        return clock.phase("timeout", f"not ready within {limits.start:.0f} s")
    return clock.phase("ok", f"{path} answered")


def _answers(port: int, path: str) -> bool:
    connection = http.client.HTTPConnection(HOST, port, timeout=2)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _check_output(launch: Launch, server: Child, port: int) -> Phase:
    """Ask the fixed prompts at temperature 0 and keep the answers."""
    check = launch.task.subject.output_check
    assert check is not None
    clock = Clock("output_check")
    deadline = clock.started + launch.task.protocol.limits.check
    found: list[str] = []
    for prompt in check.prompts:
        launch.guard.check()
        body = {
            "model": launch.command(["{model_name}"])[0],
            "prompt": prompt,
            "max_tokens": check.max_tokens,
            "temperature": 0,
            "seed": SEED,
        }
        try:
            found.append(_complete(port, check.path, body, deadline))
        except TimeoutError:
            limit = launch.task.protocol.limits.check
            return clock.phase("timeout", f"no answer to the fixed prompts within {limit:.0f} s")
        except (OSError, http.client.HTTPException, ValueError, LookupError, TypeError) as error:
            time.sleep(0.1)  # a dying server takes a moment until its exit code can be read
            return clock.phase("failed", f"{type(error).__name__}: {error}", server.exit_code)
    write_json(launch.folder / ANSWERS, {"answers": found})
    return clock.phase("ok", f"{len(found)} prompts answered")


def _complete(port: int, path: str, body: dict[str, object], deadline: float) -> str:
    """One completion, not streamed. Raises ValueError for an answer that isn't one, TimeoutError
    after the deadline (monotonic time)."""
    seconds = deadline - time.monotonic()
    if seconds <= 0:
        raise TimeoutError
    connection = http.client.HTTPConnection(HOST, port, timeout=seconds)
    try:
        text = json.dumps(body)
        connection.request("POST", path, text, {"Content-Type": "application/json"})
        response = connection.getresponse()
        data = b""
        # Piece by piece: a server that trickles must not outlast the limit.
        while piece := response.read1(1 << 16):
            data += piece
            if time.monotonic() > deadline or len(data) > MAX_ANSWER_BYTES:
                raise TimeoutError
        if response.status != http.client.OK:
            raise ValueError(f"HTTP {response.status}: {data[:200].decode(errors='replace')}")
        answer = str(json.loads(data)["choices"][0]["text"])
        return answer.encode("utf-8", "replace").decode()
    finally:
        connection.close()


def _client(launch: Launch, server: Child, port: int) -> Phase:
    """The benchmark client, from the baseline's image: a patch can't touch its own judge."""
    template = launch.task.subject.clients["serving"].command
    clock = Clock("benchmark")
    command = launch.command(template, port=str(port))
    client = launch.start(launch.judge, command, BENCH_OUT, BENCH_ERR)
    with _tree(client, launch.task.protocol.limits.stop):
        return _await_end(launch, client, clock, server)


def _offline(launch: Launch) -> Iterator[Phase]:
    """An offline benchmark: the engine runs inside the benchmark's own process."""
    subject = launch.task.subject
    client = subject.clients[launch.workload.type]
    more: dict[str, Value] = {}
    if subject.output_check and client.checks_output:
        prompts = launch.folder / "prompts.json"
        check = subject.output_check
        write_json(prompts, {"prompts": check.prompts, "max_tokens": check.max_tokens})
        answers = str((launch.folder / ANSWERS).resolve())
        more["check_args"] = (
            "--check-prompts",
            str(prompts.resolve()),
            "--check-output",
            answers,
        )
    clock = Clock("benchmark")
    command = launch.command(client.command, **more)
    child = launch.start(launch.image, command, BENCH_OUT, BENCH_ERR)
    with _tree(child, launch.task.protocol.limits.stop):
        yield _await_end(launch, child, clock)


def _await_end(launch: Launch, child: Child, clock: Clock, server: Child | None = None) -> Phase:
    """Wait for a benchmark process to end: by itself, too late, or because its server died."""
    limit = launch.task.protocol.limits.benchmark
    died: list[float] = []

    def settled() -> bool:
        if child.exit_code is not None:
            return True
        if server is not None and server.exit_code is not None and not died:
            died.append(time.monotonic())
        return bool(died) and time.monotonic() - died[0] > GRACE_SECONDS

    in_time = processes.wait_until(settled, limit, launch.guard)
    code = child.exit_code
    if code is None:
        status = "failed" if in_time else "timeout"
        why = "ended because its server had died" if in_time else f"no end within {limit:.0f} s"
        return clock.phase(status, why)
    return clock.phase("ok" if code == 0 else "failed", ended(code), code)


def ended(code: int) -> str:
    """An exit code in words."""
    return f"ended by signal {-code}" if code < 0 else f"exit code {code}"


def free_port() -> int:
    """A loopback port that nobody listens on."""
    for port in random.sample(PORTS, 50):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind((HOST, port))
            return port
    raise InfraFault(f"infra.no_port | 50 ports of {PORTS} on {HOST} tried, none is free")
