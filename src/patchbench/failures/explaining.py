"""Why a launch failed, as far as its logs say: what the signatures find there, read in the light of
where the launch ran and which package is the subject's own."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from pathlib import Path

from patchbench.failures import frames, sandbox, signatures, tracebacks
from patchbench.records import Evidence, Run, Task

# What a result says by itself, and what the engine reports: no log explains it better.
FINAL = ("bench.partial", "bench.ambiguous", *sandbox.FLAGS.values())


def causes(
    task: Task, run: Run, cause: str, own: Iterable[Path], others: Iterable[Path]
) -> list[tuple[str, Evidence]]:
    """What the logs give away beside ``cause``, which the phases or the result showed: faults of
    the machine in any log, then what explains the failure in the logs of the processes that have
    to do with it (``own``, the likeliest first)."""
    mine = {str(path): path for path in own}
    logs = {**mine, **{str(path): path for path in others}}
    matches = signatures.matches(logs.values(), asked(task, run))
    machine = [match for match in matches if match.signature.of_machine]
    explaining = [
        match
        for match in matches
        if not match.signature.of_machine and match.evidence.file in mine and cause not in FINAL
    ]
    return [(meant(match.signature, task), match.evidence) for match in machine + explaining]


def asked(task: Task, run: Run) -> signatures.Asked:
    """What signatures must know of a launch."""
    versions = {
        name.removeprefix("version."): version
        for name, version in run.provenance.items()
        if name.startswith("version.") and version != "not installed"
    }
    commands = [task.subject.server.command, *(c.command for c in task.subject.clients.values())]
    packages = {
        word.partition(".")[0]
        for command in commands
        for flag, word in itertools.pairwise(command)
        if flag == "-m"
    }
    return signatures.Asked(versions=versions, runtime=task.runtime, packages=packages)


def meant(signature: signatures.Signature, task: Task) -> str:
    """The cause that a line of a launch shows: inside a sandbox a process runs into its walls, and
    never into the host's."""
    inside = signature.sandboxed if task.runtime in sandbox.SANDBOXED else ""
    return inside or signature.cause


def traceback(task: Task, run: Run, logs: Iterable[Path]) -> tuple[str, ...]:
    """The files of the traceback with which a launch ended, for people and for ``frames.mark``.
    One that only points to another (or shows that we ended the process) says nothing."""
    shown = tracebacks.ending(logs)
    if shown is None or shown[0].points_on:
        return ()
    return frames.files(shown[0].frames, tree(task, run))


def tree(task: Task, run: Run) -> str:
    """Where the arm's files lay for its processes, with a slash at the end."""
    if task.runtime in sandbox.SANDBOXED and task.recipe is not None:
        return f"{task.recipe.root.rstrip('/')}/"
    # Where it lay when it was launched: grading may happen elsewhere.
    return run.tree or f"{Path(run.image).resolve()}/"
