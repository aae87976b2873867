"""One build from its context to its image, with a time limit, and its failure told apart: the
machine's (disk, engine, time) or the build's own."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from patchbench.failures import signatures
from patchbench.runtimes.base import BuildFailed
from patchbench.runtimes.docker.build_process import Spec
from patchbench.runtimes.docker.engine import Engine
from patchbench.system import processes
from patchbench.system.files import disk_fault, read_lines, temporary_prefix, write_json
from patchbench.system.processes import Guard


class Line(msgspec.Struct):
    """One item of a build's log; other keys are progress and of no interest."""

    stream: str = ""
    error: str = ""
    engine: bool = False
    status: str = ""


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
    mask: Callable[[str], str] = str,
) -> None:
    """Build ``tag`` from a context. The engine's words go to ``log``.

    Raises BuildFailed with the last words of the step that failed, InfraFault if the machine is to
    blame, Stopped when told to end (the engine then drops the build).
    """
    with tempfile.TemporaryDirectory(prefix=temporary_prefix()) as folder:
        spec = Path(folder) / "spec.json"
        write_json(
            spec,
            Spec(
                engine=engine.url,
                context=str(context),
                tag=tag,
                network=network,
                memory_mb=memory_mb,
            ),
        )
        said = Path(folder) / "said"
        child = processes.spawn(
            [sys.executable, "-m", "patchbench.runtimes.docker.build_process", str(spec)],
            cwd=Path(folder),
            env=dict(os.environ),  # for credential helpers; no step of the build sees it
            stdout=said,
            stderr=Path(folder) / "errors",
        )
        try:
            in_time = processes.wait_until(lambda: child.exit_code is not None, seconds, guard)
        finally:
            child.stop(1)
        lines = read_lines(said, Line)
        errors = (Path(folder) / "errors").read_text(errors="replace")
    text = "".join(line.stream or (f"{line.error}\n" if line.error else "") for line in lines)
    with log.open("a", encoding="utf-8") as out:
        out.write(mask(f"== {tag}\n{text}{errors}"))
    if child.exit_code == 0 and in_time:
        return
    _fail(engine, tag, lines, text + errors, log, None if in_time else seconds)


def _fail(
    engine: Engine, tag: str, lines: list[Line], text: str, log: Path, late: float | None
) -> None:
    """Raise what a failed build deserves."""
    # The last item may be nothing but "exit code 1": the disk's own words stand further up.
    said = next((line for line in reversed(lines) if line.error), Line())
    if signatures.machine_fault(text.splitlines(), "both") == "infra.disk_full":
        wording = next(
            line
            for line in reversed(text.splitlines())
            if signatures.machine_fault([line], "both") == "infra.disk_full"
        )
        raise engine.fault(f"build {tag} | log: {log}", wording)
    if said.engine or (not said.error and late is None):
        raise engine.fault(f"build {tag} | log: {log}", said.error or text[-300:] or "no answer")
    if late is not None:
        raise BuildFailed(f"build of {tag}: no end within {late:.0f} s; see {log}")
    raise BuildFailed(" ".join(said.error.split()) or f"build of {tag} failed; see {log}")


@contextmanager
def context_folder() -> Iterator[Path]:
    """A folder for a context, gone afterwards. A full disk there is the machine's fault."""
    try:
        with tempfile.TemporaryDirectory(prefix=temporary_prefix()) as folder:
            yield Path(folder)
    except OSError as error:
        raise disk_fault(Path(tempfile.gettempdir()), error) from error
