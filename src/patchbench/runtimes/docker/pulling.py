"""One pull from a registry, with a time limit and its progress, and its failure told apart: the
image that isn't there, or the machine (disk, network, engine), which is no outcome of any arm."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path

from patchbench.errors import InfraFault
from patchbench.failures import signatures
from patchbench.ledger.progress import duration
from patchbench.runtimes.base import ImageMissing
from patchbench.runtimes.docker.engine import Engine
from patchbench.runtimes.docker.pull_process import Line
from patchbench.system import processes
from patchbench.system.files import read_lines, temporary_prefix
from patchbench.system.processes import Guard

# Seconds between two lines of progress for a person: images of engines have many GB.
SHOWN_EVERY = 30.0
GB = 1e9


def run_pull(engine: Engine, name: str, *, seconds: float, guard: Guard, log: Path) -> None:
    """Pull ``name``, as the engine's user is logged in. The engine's words go to ``log``.

    Raises ImageMissing with the registry's own words if it has no such image, InfraFault if the
    machine, the network or the registry is to blame, Stopped when told to end.
    """
    with tempfile.TemporaryDirectory(prefix=temporary_prefix()) as folder:
        said = Path(folder) / "said"
        child = processes.spawn(
            [sys.executable, "-m", "patchbench.runtimes.docker.pull_process", engine.url, name],
            cwd=Path(folder),
            env=dict(os.environ),  # for credential helpers; no patched code runs here
            stdout=said,
            stderr=Path(folder) / "errors",
        )
        shown = Shown(name, said)

        def over() -> bool:
            shown.tell()
            return child.exit_code is not None

        try:
            in_time = processes.wait_until(over, seconds, guard)
        finally:
            child.stop(1)
        found = read_lines(said, Line)
        errors = (Path(folder) / "errors").read_text(errors="replace")
    log.parent.mkdir(parents=True, exist_ok=True)
    words = [line.error or line.status for line in found if line.error or line.status]
    with log.open("a", encoding="utf-8") as out:
        out.write("\n".join([f"== pull {name}", *words, errors]))
    if not in_time:
        raise _late(name, seconds, far(found), log)
    if child.exit_code != 0:
        raise _failed(engine, name, found, errors, log)


class Shown:
    """Tells a person from time to time how far a pull is."""

    def __init__(self, name: str, said: Path) -> None:
        self.name, self.said = name, said
        self.next = time.monotonic() + SHOWN_EVERY

    def tell(self) -> None:
        """A line if it is time for one."""
        if time.monotonic() < self.next:
            return
        self.next += SHOWN_EVERY
        if text := far(read_lines(self.said, Line)):
            print(f"patchbench: pulling {self.name}: {text}", file=sys.stderr, flush=True)


def far(found: list[Line]) -> str:
    """How far a pull is, in words; empty if nobody knows. Layers that the engine has not begun
    with are not in the total."""
    last = next((line for line in reversed(found) if line.total), None)
    if last is None:
        return ""
    return f"{last.done / GB:.1f} of {last.total / GB:.1f} GB of the layers begun so far"


def _late(name: str, seconds: float, text: str, log: Path) -> InfraFault:
    so_far = f" ({text})" if text else ""
    return InfraFault(
        f"infra.network | pull {name} | no end within {duration(seconds)}{so_far} | nothing was "
        f"charged to an agent | log: {log} | next: see that the engine reaches the registry, pull "
        "by hand or raise protocol.limits.build, then run the same command again"
    )


def _failed(
    engine: Engine, name: str, found: list[Line], errors: str, log: Path
) -> ImageMissing | InfraFault:
    line = next((line for line in reversed(found) if line.error), Line())
    text = line.error or errors[-300:] or "no answer"
    cause = signatures.machine_fault([text], "both")
    if cause == "infra.image_missing" or (line.answer and cause is None):
        return ImageMissing(f"{name}: {text}")
    return engine.fault(f"pull {name} | log: {log}", text)
