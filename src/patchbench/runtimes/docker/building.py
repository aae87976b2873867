"""Builds: from a context to an image, within a time limit. A failure is either the machine's (disk,
engine, time) or the build's own."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from patchbench.errors import InfraFault
from patchbench.failures import signatures
from patchbench.runtimes.base import BuildFailed
from patchbench.runtimes.docker.build_process import Spec
from patchbench.runtimes.docker.engine import Engine
from patchbench.runtimes.docker.request import Reply, request
from patchbench.system.files import disk_fault, temporary_prefix
from patchbench.system.processes import Guard


class Line(msgspec.Struct):
    """One item of a build's log; other keys are ignored. ``engine`` is True if the engine failed,
    not a step of the build."""

    stream: str = ""
    error: str = ""
    engine: bool = False


def run_build(
    engine: Engine,
    tag: str,
    context: Path,
    *,
    seconds: float,
    guard: Guard,
    log: Path,
    network: str = "none",
    memory_mb: int = 0,
) -> None:
    """Build ``tag`` from a context; append the engine's answers to ``log``.

    Raises BuildFailed with the error of the step that failed, InfraFault if the machine is to
    blame, Stopped when told to end.
    """
    spec = Spec(
        engine=engine.url, context=str(context), tag=tag, network=network, memory_mb=memory_mb
    )
    words = [msgspec.json.encode(spec).decode()]
    reply = request("build_process", words, Line, seconds=seconds, guard=guard)
    text = "".join(line.stream or (f"{line.error}\n" if line.error else "") for line in reply.lines)
    with log.open("a", encoding="utf-8") as out:
        out.write(f"== {tag}\n{text}{reply.errors}")
    if not reply.ok:
        raise _failure(engine, tag, reply, text + reply.errors, log, seconds)


def _failure(
    engine: Engine, tag: str, reply: Reply[Line], text: str, log: Path, seconds: float
) -> BuildFailed | InfraFault:
    # The last error may be just "exit code 1": a message about the disk stands further up.
    for line in reversed(text.splitlines()):
        if signatures.machine_fault([line], "any") == "infra.disk_full":
            return engine.fault(f"build {tag} | log: {log}", line)
    last = next((line for line in reversed(reply.lines) if line.error), Line())
    if last.engine or (not last.error and reply.in_time):
        return engine.fault(f"build {tag} | log: {log}", last.error or text[-300:] or "no answer")
    if not reply.in_time:
        return BuildFailed(f"build of {tag}: no end within {seconds:.0f} s; see {log}")
    return BuildFailed(" ".join(last.error.split()))


@contextmanager
def context_folder() -> Iterator[Path]:
    """Make a temporary folder for a context. Raises InfraFault if the disk is full."""
    try:
        with tempfile.TemporaryDirectory(prefix=temporary_prefix()) as folder:
            yield Path(folder)
    except OSError as error:
        raise disk_fault(Path(tempfile.gettempdir()), error) from error
