"""What a sandbox's limits make of a failure: the machine was well, the arm ran into its walls."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from patchbench.failures import signatures
from patchbench.failures.causes import CAUSES
from patchbench.failures.signatures import Asked
from patchbench.records import Evidence

# Runtimes that run arms in a sandbox: of its own file systems, network and limits.
SANDBOXED = ("docker",)
# Limits that the engine itself reports, whatever the arm made of them. What a log says of the
# sandbox's network or disk is not as certain: the log says it (see ``sandboxed`` in the table).
FLAGS = {"machine_oom": "infra.oom", "oom": "sandbox.memory", "pids": "sandbox.pids"}
WALLS = tuple(cause for cause in CAUSES if cause.startswith("sandbox."))


class Shown(NamedTuple):
    """A cause with the line that shows it."""

    cause: str
    evidence: Evidence

    @property
    def of_machine(self) -> bool:
        """Whether the machine is to blame."""
        return CAUSES[self.cause].blame == "infra"


def shown(files: Iterable[Path], asked: Asked) -> list[Shown]:
    """What logs give away of the machine or of the sandbox, the deciding one first. A line that
    speaks of a full disk or a missing network means the sandbox's own where there is one: nothing
    in it can write to the machine's disk, and it has no network."""
    found = []
    for match in signatures.matches(files, asked):
        inside = match.signature.sandboxed if asked.runtime in SANDBOXED else ""
        if match.cause in WALLS:
            inside = match.cause
        if inside or match.signature.of_machine:
            found.append(Shown(inside or match.cause, match.evidence))
    return found


def reported(flags: Sequence[str], log: Path) -> Shown | None:
    """The limit that the engine says an arm ran into, if any."""
    for flag, cause in FLAGS.items():
        if flag in flags:
            last = signatures.last_line(log)
            said = f"; the log ends: {last.text}" if last else ""
            text = f"the engine reports: {CAUSES[cause].title}{said}"
            return Shown(
                cause, Evidence(text=text, file=str(log), line=last.line if last else None)
            )
    return None
