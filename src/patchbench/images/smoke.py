"""Smoke test of an image: the subject imports, its server starts, its packages have versions."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import NamedTuple

import msgspec

from patchbench.benchmark.context import LaunchContext
from patchbench.benchmark.phases import PhaseClock, await_client, stopped_after
from patchbench.benchmark.server import start_only
from patchbench.errors import infra_fault
from patchbench.failures import explanation, tracebacks
from patchbench.failures.causes import retry
from patchbench.grading.run_folder import PROBE_BROKE, SERVER_ERR
from patchbench.ledger.machine_faults import INVOCATION
from patchbench.records import BASELINE, Evidence, Phase, Task
from patchbench.runtimes import Place, Runtime
from patchbench.system.command_words import expand
from patchbench.system.files import write_bytes
from patchbench.system.processes import Guard

# Prints one line per name. It imports little, since each commit's baseline runs it.
VERSIONS_PROGRAM = """
import sys
print("python", sys.version.split()[0].rstrip("+"))
for name in sys.argv[1:]:
    import importlib.metadata as m
    try:
        print(name, m.version(name))
    except m.PackageNotFoundError:
        print(name, "not installed")
"""

KILLED = "killed"


class Failure(NamedTuple):
    """A failed test: cause and evidence. ``suspected`` is True if only the arm's own log shows that
    the machine is to blame."""

    cause: str
    evidence: Evidence
    suspected: bool = False


class ArmImage(NamedTuple):
    """An arm's image under test; ``logs`` is the folder for the output of its processes."""

    task: Task
    arm: str
    name: str
    runtime: Runtime
    logs: Path
    guard: Guard


def test(image: ArmImage) -> Failure | None:
    """Import the subject in the image, then start its server if the recipe asks for it. Returns
    cause and evidence of a failure. A failure that may be chance is repeated as the table of
    causes says, one for which the log blames the machine once. Raises InfraFault if the machine is
    to blame, Stopped."""
    tests = 1
    while (failure := _test_once(image)) and (
        retry(failure.cause).again(tests) or (failure.suspected and tests == 1)
    ):
        tests += 1
    if failure and failure.cause == KILLED and _is_pending(image):
        facts = f"commit {image.task.commit[:8]}", f"arm {image.arm}", "stage build_image"
        cause = f"infra.{KILLED}" if image.arm == BASELINE else KILLED
        text, step = failure.evidence.text, "see what ends processes here"
        raise infra_fault(cause, *facts, text, log=failure.evidence.file, step=step)
    return failure


def _is_pending(image: ArmImage) -> bool:
    """Return True if an image whose test was killed has no outcome yet: a baseline's never has, a
    patched one's only if its test was killed in an earlier run too."""
    note, this = image.logs / KILLED, os.environ.get(INVOCATION, "")
    name, _, run = note.read_text(encoding="utf-8").partition("\n") if note.is_file() else ("",) * 3
    if name != image.name:
        write_bytes(note, f"{image.name}\n{this}".encode())
    return image.arm == BASELINE or name != image.name or run == this


def _test_once(image: ArmImage) -> Failure | None:
    task, baseline = image.task, image.arm == BASELINE
    if task.subject.smoke:
        command = expand(task.subject.smoke, {"python": image.runtime.python(task)})
        end = _run(image, command, "smoke")
        if end.status != "ok":
            cause = "image.smoke_failed" if baseline else "patch.import"
            return _failure(image, end, image.logs / "smoke.stderr", cause)
    if task.recipe is None or task.recipe.server_smoke is None or task.workload is None:
        return None
    workload = msgspec.structs.replace(task.workload, server_args=task.recipe.server_smoke)
    launch = LaunchContext(
        task=task,
        workload=workload,
        arm=image.arm,
        image=image.name,
        client_image=image.name,
        folder=image.logs,
        runtime=image.runtime,
        guard=image.guard,
    )
    end = start_only(launch, task.protocol.limits.smoke)
    if end.status == "ok":
        return None
    cause = "server.timeout" if end.status == "timeout" else "server.crash"
    cause = "image.smoke_failed" if baseline else cause
    return _failure(image, end, image.logs / SERVER_ERR, cause)


def _failure(image: ArmImage, end: Phase, log: Path, cause: str) -> Failure:
    """Return cause and evidence of a failed test. Raises InfraFault if the machine is to blame."""
    task, arm = image.task, image.arm
    if PROBE_BROKE in end.flags:
        return Failure("harness.probe", Evidence(text=f"smoke test: {end.detail}", file=str(log)))
    limit = explanation.reported_limit(end.flags, log)
    shown = explanation.machine_or_sandbox([log], image.runtime.name, arm)
    if first := next((one for one in (limit, *shown.causes) if one is not None), None):
        if first.of_machine:
            facts = f"commit {task.commit[:8]}", f"arm {arm}", "stage build_image"
            place = f"{log}:{first.evidence.line}"
            text, step = first.evidence.text, "mend the machine"
            raise infra_fault(first.cause, *facts, text, log=place, step=step)
        return Failure("image.smoke_failed" if arm == BASELINE else first.cause, first.evidence)
    suspected = bool(shown.suspected)
    if end.status == "timeout":
        return Failure(cause, Evidence(text=f"smoke test: {end.detail}", file=str(log)), suspected)
    if end.exit_code == -signal.SIGKILL:
        return Failure(KILLED, Evidence(text="smoke test: ended by SIGKILL", file=str(log)))
    line = tracebacks.last_exception(log) or tracebacks.last_line(log)
    if line is None:
        text = f"smoke test: {end.detail}, no message"
        return Failure(cause, Evidence(text=text, file=str(log)))
    tree = image.runtime.tree(task, image.name)
    evidence = msgspec.structs.replace(line, text=line.text.replace(tree, ""))
    return Failure(cause, evidence, suspected)


def versions(image: ArmImage) -> dict[str, str]:
    """Return the versions of Python and of the packages that the subject names, as the image's
    interpreter reports them; empty if it fails."""
    names = image.task.subject.versions
    command = [image.runtime.python(image.task), "-c", VERSIONS_PROGRAM, *names]
    if _run(image, command, "versions").status != "ok":
        return {}
    lines = (image.logs / "versions.stdout").read_text().splitlines()
    pairs = (line.partition(" ") for line in lines)
    return {name: version for name, _, version in pairs if name in ("python", *names)}


def _run(image: ArmImage, command: list[str], name: str) -> Phase:
    """Run a short command in the image; its output goes to NAME.stdout and NAME.stderr."""
    task, limits = image.task, image.task.protocol.limits
    image.logs.mkdir(parents=True, exist_ok=True)
    clock = PhaseClock("smoke")
    child = image.runtime.launch(
        image.name,
        command,
        env=task.workload.env if task.workload else task.subject.env,
        stdout=image.logs / f"{name}.stdout",
        stderr=image.logs / f"{name}.stderr",
        place=Place(task.commit, image.arm, "smoke"),
    )
    with stopped_after(child, limits.stop):
        phase = await_client(child, clock, limits.smoke, image.guard)
    return msgspec.structs.replace(phase, flags=child.flags)
