"""One launch of one arm: server, fixed prompts, client, stop; or one offline process.

Every phase has a time limit, every end takes the whole process tree along, and what happened is
written down as facts. Nothing here says who is to blame.
"""

from __future__ import annotations

import contextlib
import json
import random
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from patchbench.benchmark import client_gate
from patchbench.errors import InfraFault
from patchbench.grading.run_folder import ANSWERS, BENCH, PROMPTS, RESULT, SERVER, window_files
from patchbench.inside import probe
from patchbench.records import Phase, Task, Workload
from patchbench.runtimes import Child, Place, Runtime
from patchbench.system import processes
from patchbench.system.command_words import Value, expand
from patchbench.system.files import write_bytes, write_json
from patchbench.system.processes import Guard

HOST = "127.0.0.1"
PROBE_ROLE = "probe"
# Whoever ends a whole job (scancel, a pre-emption, the OOM killer) may reach the server before us.
TOLD_SECONDS = 0.5
# How long a client may go on after its server died: it may still report failed requests.
GRACE_SECONDS = 3.0
SEED = 0
PROBE = Path(probe.__file__)
# A probe has limits of its own; this is for its start and end.
PROBE_SECONDS = 10.0
# Below the range from which the kernel takes ports for outgoing connections (32768 and up).
PORTS = range(20000, 32000)


class Launch(NamedTuple):
    """What a launch needs to know. ``judge`` is the baseline's image: its client measures all."""

    task: Task
    workload: Workload
    arm: str
    image: str
    judge: str
    folder: Path
    runtime: Runtime
    guard: Guard
    gpus: tuple[str, ...]
    keep: tuple[int, ...]

    def place(self, role: str, **more: Any) -> Place:
        """Where a process of this launch runs. Only the arm's own code sees a GPU."""
        gpus = () if role == PROBE_ROLE else self.gpus
        return Place(self.task.commit, self.arm, role, gpus=gpus, keep=self.keep, **more)

    def start(self, image: str, command: Sequence[str], name: str, place: Place) -> Child:
        """Start a process in an image with its output in the run's folder."""
        return self.runtime.launch(
            image,
            command,
            env=self.workload.env,
            stdout=self.folder / f"{name}.stdout",
            stderr=self.folder / f"{name}.stderr",
            place=place._replace(reads=(*place.reads, *self.model)),
        )

    @property
    def model(self) -> tuple[Path, ...]:
        """The model's folder, if it is one of this machine's and not a name."""
        path = Path(self.workload.model)
        return (path.absolute(),) if path.exists() else ()

    def command(self, words: Sequence[str], window: int = 1, /, **more: Value) -> list[str]:
        """Fill a command's placeholders with this launch's values. Each window has a seed of its
        own, the same for every arm: its prompts are no other window's, cached already."""
        result = self.runtime.inside(self.folder.resolve() / window_files(window).result)
        values: dict[str, Value] = {
            "python": self.runtime.python(self.task),
            "host": HOST,
            "model": self.runtime.inside(self.model[0]) if self.model else self.workload.model,
            "model_name": self.workload.model.rstrip("/").rpartition("/")[2],
            "seed": str(SEED + window - 1),
            "server_args": self.workload.server_args,
            "client_args": self.workload.client_args,
            "result_dir": result.rpartition("/")[0],
            "result_name": result.rpartition("/")[2],
            "result": result,
            "check_args": (),
        }
        return expand(words, values | more)

    def probe(
        self, server: Child, name: str, port: int, path: str, seconds: float, *more: str
    ) -> Child:
        """Start a probe beside the server, from the judge's image."""
        python = self.runtime.python(self.task)
        words = [python, "-I", self.runtime.inside(PROBE), name, HOST, str(port), path]
        place = self.place(PROBE_ROLE, beside=server, reads=(PROBE,))
        return self.start(self.judge, [*words, f"{seconds:.3f}", *more], f"probe-{name}", place)


def run(launch: Launch) -> tuple[Phase, ...]:
    """Launch the arm once. Raises Stopped when told to end, InfraFault if the machine lacks the
    model; the process tree is gone either way."""
    check_model(launch)
    offline = launch.workload.type != "serving"
    phases = tuple(_offline(launch) if offline else _serving(launch))
    if any(phase.status != "ok" for phase in phases):
        # Raises Stopped if we are told to end as well: then it was not the arm that failed.
        processes.wait_until(lambda: False, TOLD_SECONDS, launch.guard)
        check_model(launch)  # it may have gone meanwhile: that is no arm's fault
    return phases


def check_model(launch: Launch) -> None:
    """Raise InfraFault if the workload's model is a folder of this machine that is not there (any
    more). Whatever its absence does to an arm, it says nothing of the arm."""
    task, model = launch.task, Path(launch.workload.model)
    if launch.workload.model in task.subject.model.values() and not model.exists():
        raise InfraFault(
            f"infra.model_missing | commit {task.commit[:8]} | arm {launch.arm} | no {model} | "
            "nothing was charged to an agent | next: put the model back (or mount its disk), then "
            "run the same command again"
        )


@contextlib.contextmanager
def _tree(
    child: Child, seconds: float, ended: Callable[[str], None] = lambda _: None
) -> Iterator[None]:
    try:
        yield
    finally:
        ended(child.stop(seconds))


class Clock:
    """Measures one phase, seconds."""

    def __init__(self, name: str) -> None:
        self.name, self.started = name, time.monotonic()

    def phase(
        self,
        status: str,
        detail: str = "",
        exit_code: int | None = None,
        flags: tuple[str, ...] = (),
    ) -> Phase:
        """The record of the phase, ending now."""
        return Phase(
            name=self.name,
            status=status,  # type: ignore[arg-type]
            seconds=round(time.monotonic() - self.started, 3),
            exit_code=exit_code,
            detail=detail,
            flags=flags,
        )


def _serving(launch: Launch) -> Iterator[Phase]:
    limits, subject = launch.task.protocol.limits, launch.task.subject
    port = free_port()
    clock = Clock("server_start")
    command = launch.command(subject.server.command, port=str(port))
    server = launch.start(launch.image, command, SERVER, launch.place(SERVER))
    phases: list[Phase] = []
    ends: list[str] = []
    with _tree(server, limits.stop, ends.append), _held_clients(launch, server, port) as held:
        phases.append(_await_ready(launch, server, port, clock, limits.start))
        if phases[-1].status == "ok":
            if subject.output_check:
                phases.append(_check_output(launch, server, port))
            for window in range(1, launch.task.protocol.windows + 1):
                if phases[-1].status == "ok":
                    phases.append(_client(launch, server, port, window, held.get(window)))
            if (code := server.exit_code) is not None:
                died = f"server ended by itself: {ended(code)}"
                phases.append(Clock("server_died").phase("failed", died, code))
        clock = Clock("stop")
    yield from with_flags(phases, server.flags)
    if phases[0].status == "ok":
        yield clock.phase("ok", ends[0])


def only_start(launch: Launch, seconds: float) -> Phase:
    """Start the server, wait until it is ready, and end it: the proof that an image can serve."""
    clock, port = Clock("server_start"), free_port()
    command = launch.command(launch.task.subject.server.command, port=str(port))
    server = launch.start(launch.image, command, SERVER, launch.place(SERVER))
    with _tree(server, launch.task.protocol.limits.stop):
        phase = _await_ready(launch, server, port, clock, seconds)
    return with_flags([phase], server.flags)[0]


def with_flags(phases: list[Phase], flags: tuple[str, ...]) -> list[Phase]:
    """Phases of which the last carries the limits that the arm's sandbox enforced: they are known
    for certain only when it is over."""
    last = msgspec.structs.replace(phases[-1], flags=(*phases[-1].flags, *flags))
    return [*phases[:-1], last]


def _await_ready(launch: Launch, server: Child, port: int, clock: Clock, seconds: float) -> Phase:
    path = launch.task.subject.server.ready_path
    child, _ = _probe(launch, server, "ready", port, path, seconds)
    if (code := server.exit_code) is not None:
        return clock.phase("failed", f"server process {ended(code)} before it was ready", code)
    if child != 0:
        return clock.phase("timeout", f"not ready within {seconds:.0f} s")
    return clock.phase("ok", f"{path} answered")


def _probe(
    launch: Launch, server: Child, name: str, port: int, path: str, seconds: float, *more: str
) -> tuple[int | None, Path]:  # fmt: skip
    """Run a probe until it ends or the server does; its exit code (None: neither in time) and the
    file of its stderr."""
    try:
        child = launch.probe(server, name, port, path, seconds, *more)
    except InfraFault:
        # Nothing can join the network of a server that has just ended.
        if not _soon(server):
            raise
        return None, launch.folder
    with _tree(child, launch.task.protocol.limits.stop):
        processes.wait_until(
            lambda: child.exit_code is not None or server.exit_code is not None,
            seconds + PROBE_SECONDS,
            launch.guard,
        )
        code = child.exit_code
    if code == 0 and name == "ready":  # it has nothing more to tell
        for file in (child.stdout, child.stderr):
            file.unlink(missing_ok=True)
    return code, child.stderr


def _soon(server: Child) -> bool:
    """Whether a server is over, or turns out to be within a moment."""
    deadline = time.monotonic() + 1.0
    while server.exit_code is None:
        if time.monotonic() > deadline:
            return False
        time.sleep(processes.TICK_SECONDS)
    return True


def _check_output(launch: Launch, server: Child, port: int) -> Phase:
    """Ask the fixed prompts at temperature 0 and keep the answers."""
    check = launch.task.subject.output_check
    assert check is not None
    clock, limit = Clock("output_check"), launch.task.protocol.limits.check
    common = {"model": launch.command(["{model_name}"])[0], "max_tokens": check.max_tokens}
    bodies = [
        {**common, "prompt": prompt, "temperature": 0, "seed": SEED} for prompt in check.prompts
    ]
    code, said = _probe(launch, server, "ask", port, check.path, limit, json.dumps(bodies))
    answers = launch.folder / "probe-ask.stdout"
    if code == 0:
        write_bytes(launch.folder / ANSWERS, answers.read_bytes())
        answers.unlink()
        said.unlink()
        return clock.phase("ok", f"{len(bodies)} prompts answered")
    if code == probe.FAILED:
        _soon(server)  # a dying server takes a moment until its exit code can be read
        return clock.phase("failed", said.read_text(errors="replace").strip(), server.exit_code)
    if server.exit_code is not None:
        return clock.phase("failed", "the server ended meanwhile", server.exit_code)
    return clock.phase("timeout", f"no answer to the fixed prompts within {limit:.0f} s")


class Held(NamedTuple):
    """A client that has been started and waits at its gate."""

    child: Child
    gate: client_gate.Gate


@contextlib.contextmanager
def _held_clients(launch: Launch, server: Child, port: int) -> Iterator[dict[int, Held]]:
    """The clients of all windows, by window, importing beside the starting server; none where the
    subject names nothing to import, or where the server has ended already."""
    held: dict[int, Held] = {}
    preload = launch.task.subject.clients["serving"].preload
    windows = range(1, launch.task.protocol.windows + 1) if preload else ()
    with contextlib.ExitStack() as ends:
        for window in windows:
            gate = client_gate.Gate()
            ends.callback(gate.close)
            try:
                child = _start_client(launch, server, port, window, gate)
            except InfraFault:
                if not _soon(server):
                    raise
                break
            ends.enter_context(_tree(child, launch.task.protocol.limits.stop))
            held[window] = Held(child, gate)
        yield held


def _start_client(
    launch: Launch, server: Child, port: int, window: int, gate: client_gate.Gate | None = None
) -> Child:
    """The benchmark client, from the baseline's image: a patch can't touch its own judge."""
    names, client = window_files(window), launch.task.subject.clients["serving"]
    command = launch.command(client.command, window, port=str(port))
    reads: tuple[Path, ...] = ()
    if gate is not None:
        command = client_gate.held_command(
            command, client.preload, launch.runtime.inside, gate.path
        )
        reads = (client_gate.PROGRAM, gate.path)
    place = launch.place(
        "client", beside=server, reads=reads, writes=(launch.folder / names.result,)
    )
    return launch.start(launch.judge, command, names.bench, place)


def _client(launch: Launch, server: Child, port: int, window: int, held: Held | None) -> Phase:
    """Measure one window."""
    clock, limits = Clock("benchmark"), launch.task.protocol.limits
    if held is not None:  # who started it ends it
        held.gate.open(held.child, limits.benchmark, launch.guard)
        return _await_end(launch, held.child, clock, server)
    try:
        client = _start_client(launch, server, port, window)
    except InfraFault:
        if not _soon(server):
            raise
        return clock.phase("failed", "the server had ended")
    with _tree(client, limits.stop):
        return _await_end(launch, client, clock, server)


def _offline(launch: Launch) -> Iterator[Phase]:
    """An offline benchmark: the engine runs inside the benchmark's own process."""
    client = launch.task.subject.clients[launch.workload.type]
    check = launch.task.subject.output_check
    reads: tuple[Path, ...] = ()
    writes: tuple[Path, ...] = (launch.folder / RESULT,)
    more: dict[str, Value] = {}
    if check and client.checks_output:
        prompts, answers = launch.folder / PROMPTS, launch.folder / ANSWERS
        write_json(prompts, {"prompts": check.prompts, "max_tokens": check.max_tokens})
        reads, writes = (prompts,), (*writes, answers)
        inside = launch.runtime.inside
        more["check_args"] = (
            "--check-prompts", inside(prompts), "--check-output", inside(answers)
        )  # fmt: skip
    clock = Clock("benchmark")
    command = launch.command(client.command, **more)
    place = launch.place("benchmark", reads=reads, writes=writes)
    child = launch.start(launch.image, command, BENCH, place)
    with _tree(child, launch.task.protocol.limits.stop):
        phase = _await_end(launch, child, clock)
    yield from with_flags([phase], child.flags)


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
