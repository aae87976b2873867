"""Pulls: an image from a registry, within a time limit. A failure is either the image's (it isn't
there) or the machine's (disk, network, engine), which is no outcome of any arm."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from patchbench.errors import InfraFault, infra_fault
from patchbench.failures import signatures
from patchbench.ledger.progress import duration
from patchbench.runtimes.base import ImageMissing
from patchbench.runtimes.docker.engine import Engine
from patchbench.runtimes.docker.pull_process import Line
from patchbench.runtimes.docker.request import request
from patchbench.system.files import read_lines
from patchbench.system.processes import Guard

# Seconds between two progress lines: images of engines have many GB.
SHOWN_EVERY = 30.0
GB = 1e9


def run_pull(engine: Engine, name: str, *, seconds: float, guard: Guard, log: Path) -> None:
    """Pull ``name`` with the credentials of the engine's user; append the engine's answers to
    ``log``.

    Raises ImageMissing with the registry's message if it has no such image, InfraFault if the
    machine, the network or the registry is to blame, Stopped when told to end.
    """
    reply = request(
        "pull_process", [engine.url, name], Line,
        seconds=seconds, guard=guard, tick=PullProgress(name).show,
    )  # fmt: skip
    log.parent.mkdir(parents=True, exist_ok=True)
    texts = [line.error or line.status for line in reply.lines if line.error or line.status]
    with log.open("a", encoding="utf-8") as out:
        out.write("\n".join([f"== pull {name}", *texts, reply.errors]))
    if not reply.in_time:
        raise _timeout(name, seconds, amount(reply.lines), log)
    if not reply.ok:
        raise _failure(engine, name, reply.lines, reply.errors, log)


class PullProgress:
    """Prints from time to time how much of an image is there."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.next = time.monotonic() + SHOWN_EVERY

    def show(self, lines: Path) -> None:
        """Print a line if it is time for one."""
        if time.monotonic() < self.next:
            return
        self.next += SHOWN_EVERY
        if text := amount(read_lines(lines, Line)):
            print(f"patchbench: pulling {self.name}: {text}", file=sys.stderr, flush=True)


def amount(lines: list[Line]) -> str:
    """Return in words how much was pulled; empty if unknown. Layers that the engine has not begun
    with are not in the total."""
    last = next((line for line in reversed(lines) if line.total), None)
    if last is None:
        return ""
    return f"{last.done / GB:.1f} of {last.total / GB:.1f} GB of the layers begun so far"


def _timeout(name: str, seconds: float, text: str, log: Path) -> InfraFault:
    so_far = f" ({text})" if text else ""
    return infra_fault(
        "infra.network", f"pull {name}", f"no end within {duration(seconds)}{so_far}", log=log,
        step="see that the engine reaches the registry, or raise protocol.limits.build",
    )  # fmt: skip


def _failure(
    engine: Engine, name: str, lines: list[Line], errors: str, log: Path
) -> ImageMissing | InfraFault:
    last = next((line for line in reversed(lines) if line.error), Line())
    text = last.error or errors[-300:] or "no answer"
    cause = signatures.machine_fault([text], "any")
    if cause == "infra.image_missing" or (last.answer and cause is None):
        return ImageMissing(f"{name}: {text}")
    return engine.fault(f"pull {name} | log: {log}", text)
