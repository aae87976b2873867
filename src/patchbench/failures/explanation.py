"""Explanations: the causes that the logs of a failed launch show, beside what its phases show.

Signatures are read in the light of where the launch ran. In a sandbox, a line about a full disk or
a missing network means the sandbox's own: nothing in it writes to the machine's disk, and it has no
network.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from patchbench.failures import signatures, tracebacks
from patchbench.failures.causes import CAUSES
from patchbench.failures.signatures import Match, Origin
from patchbench.records import Evidence, Run, Task

# Runtimes that run arms in a sandbox, with file systems, network and limits of its own.
SANDBOXED = ("docker",)
# Limits that the container engine itself reports. They are more certain than lines of a log about
# the sandbox's network or disk.
FLAGS = {"machine_oom": "infra.oom", "oom": "sandbox.memory", "pids": "sandbox.pids"}
# Causes that no log can explain better: the result itself shows them, or the engine reports them.
FINAL = ("bench.partial", "bench.ambiguous", *FLAGS.values())


class Explanation(NamedTuple):
    """A cause with the line that shows it."""

    cause: str
    evidence: Evidence

    @property
    def of_machine(self) -> bool:
        """True if the machine is to blame."""
        return CAUSES[self.cause].blame == "infra"


def launch_causes(
    task: Task, run: Run, cause: str, own: Iterable[Path], others: Iterable[Path]
) -> list[Explanation]:
    """Return the causes that logs show beside ``cause``, the one of the phases or the result.

    Faults of the machine count from any log and come first; all others count only from the logs of
    the processes concerned (``own``, the likeliest first).
    """
    concerned = {str(path): path for path in own}
    logs = {**concerned, **{str(path): path for path in others}}
    matches = signatures.matches(logs.values(), origin(task, run))
    machine = [match for match in matches if match.signature.of_machine]
    rest = [
        match
        for match in matches
        if not match.signature.of_machine
        and match.evidence.file in concerned
        and cause not in FINAL
    ]
    return [_explanation(match, task.runtime) for match in machine + rest]


def machine_or_sandbox(logs: Iterable[Path], runtime: str) -> list[Explanation]:
    """Return the causes in logs that belong to the machine or the sandbox's limits, the deciding
    one first."""
    explanations = (
        _explanation(match, runtime) for match in signatures.matches(logs, Origin(runtime=runtime))
    )
    return [each for each in explanations if each.of_machine or each.cause.startswith("sandbox.")]


def _explanation(match: Match, runtime: str) -> Explanation:
    sandboxed = match.signature.sandboxed if runtime in SANDBOXED else ""
    return Explanation(sandboxed or match.cause, match.evidence)


def reported_limit(flags: Sequence[str], log: Path) -> Explanation | None:
    """Return the limit that the container engine says the process ran into, or None. The evidence
    quotes the log's last line."""
    cause = next((FLAGS[flag] for flag in FLAGS if flag in flags), None)
    if cause is None:
        return None
    text = f"the engine reports: {CAUSES[cause].title}"
    return Explanation(cause, tracebacks.with_last_line(text, log))


def origin(task: Task, run: Run) -> Origin:
    """Return the facts about a launch that signatures depend on."""
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
    return Origin(versions=versions, runtime=task.runtime, packages=packages)


def traceback(task: Task, run: Run, logs: Iterable[Path]) -> tuple[str, ...]:
    """Return the files of the traceback with which a launch ended (for people and for
    ``tracebacks.mark``); empty if the exception only points to another one."""
    shown = tracebacks.ending(logs)
    if shown is None or shown[0].points_on:
        return ()
    return tracebacks.files(shown[0].frames, tree(task, run))


def tree(task: Task, run: Run) -> str:
    """Return where the arm's files lay for its processes, with a slash at the end."""
    if task.runtime in SANDBOXED and task.recipe is not None:
        return f"{task.recipe.root.rstrip('/')}/"
    # The place at launch time: grading may happen on another machine.
    return run.tree or f"{Path(run.image).resolve()}/"
