"""Explanations: the causes that the logs of a failed launch show, beside what its phases show.

Signatures are read in the light of where the launch ran. In a sandbox, a line about a full disk or
a missing network means the sandbox's own: nothing in it writes to the machine's disk, and it has no
network. A fault of the machine in the log of an agent's arm is a suspicion: a patch can print it.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from patchbench.failures import signatures, tracebacks
from patchbench.failures.attribution import OWN_ARMS
from patchbench.failures.causes import CAUSES
from patchbench.failures.signatures import Match, Origin
from patchbench.records import Evidence, Run, Task

# Runtimes that run arms in a sandbox, with file systems, network and limits of its own.
SANDBOXED = ("docker",)
# Limits that the container engine itself reports. They are more certain than lines of a log about
# the sandbox's network or disk.
FLAGS = {"machine_oom": "infra.oom", "oom": "sandbox.memory", "pids": "sandbox.pids"}
# Causes that no log can explain better: the result itself shows them, or the engine reports them.
FINAL = ("bench.partial", "bench.ambiguous", "bench.refused", "harness.probe", *FLAGS.values())
# Faults that count without any line in a log, if they were seen from outside of the launch.
DECISIVE = ("infra.gpu",)
# The logs of a serving client, which runs from the baseline's image whatever the arm.
CLIENT_LOG = "benchmark"


class Explanation(NamedTuple):
    """A cause with the line that shows it."""

    cause: str
    evidence: Evidence

    @property
    def of_machine(self) -> bool:
        """True if the machine is to blame."""
        return CAUSES[self.cause].blame == "infra"


class Explanations(NamedTuple):
    """Causes that count, the deciding one first, and ``suspected`` ones: faults that no arm pays
    for, which only the arm's own log shows."""

    causes: list[Explanation]
    suspected: list[Explanation]


def launch_causes(
    task: Task, run: Run, cause: str, own: Iterable[Path], others: Iterable[Path]
) -> Explanations:
    """Return the causes that logs show beside ``cause``, the one of the phases or the result.

    Faults of the machine count from any log and come first; all others count only from the logs of
    the processes concerned (``own``, the likeliest first).
    """
    concerned = {str(path): path for path in own}
    logs = {**concerned, **{str(path): path for path in others}}
    matches = signatures.matches(logs.values(), origin(task, run))
    found = [(match, _explanation(match, task.runtime)) for match in matches]
    nobodys = [(match, each) for match, each in found if _charges_nobody(each)]
    believed = [each for match, each in nobodys if is_believed(task, run, match)]
    seen = [
        Explanation(name, Evidence(text=text))
        for name, text in run.seen.items()
        if name in DECISIVE and name not in {each.cause for each in believed}
    ]
    rest = [
        each
        for match, each in found
        if not _charges_nobody(each) and match.evidence.file in concerned and cause not in FINAL
    ]
    suspected = [each for _, each in nobodys if each not in believed]
    return Explanations([*seen, *believed, *rest], suspected)


def is_believed(task: Task, run: Run, match: Match) -> bool:
    """Return True if a line is more than a suspicion: it ended a launch of the task's own arms, the
    fault was seen from outside of the launch, too, or a client from the baseline's image wrote
    it."""
    if match.cause in run.seen:
        return True
    of_client = task.workload is not None and task.workload.type == "serving"
    of_client = of_client and Path(match.evidence.file).name.startswith(CLIENT_LOG)
    if of_client and CAUSES[match.cause].blame == "harness":
        return True
    return match.at_end and run.arm in OWN_ARMS


def machine_or_sandbox(logs: Iterable[Path], runtime: str, arm: str) -> Explanations:
    """Return the causes in logs of an image's test that belong to the machine or to the sandbox's
    limits. Faults of the machine are suspicions if an agent's arm wrote the log."""
    matches = signatures.matches(logs, Origin(runtime=runtime))
    found = [_explanation(match, runtime) for match in matches if match.at_end]
    nobodys = [each for each in found if _charges_nobody(each)]
    limits = [each for each in found if each.cause.startswith("sandbox.")]
    return (
        Explanations([*nobodys, *limits], []) if arm in OWN_ARMS else Explanations(limits, nobodys)
    )


def _charges_nobody(each: Explanation) -> bool:
    """Return True if a cause takes a failure off its arm, and no measured baseline refutes it."""
    cause = CAUSES[each.cause]
    return cause.blame in ("infra", "harness", "unknown") or (
        cause.blame == "task" and not cause.shared
    )


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
