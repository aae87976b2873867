"""The build stage: one image per arm, and the cheap proof that it imports.

The parent's image is the control: only where it imports is an import error an agent's.
"""

from __future__ import annotations

import signal
import time
from pathlib import Path

import msgspec

from patchbench.benchmark import launch
from patchbench.errors import InfraFault
from patchbench.failures import explanation, tracebacks
from patchbench.failures.causes import retry
from patchbench.grading.run_folder import SERVER_ERR
from patchbench.records import BASELINE, Built, Evidence, Phase, Task
from patchbench.runtimes import BuildFailed, ImageMissing, Made, Place, Runtime
from patchbench.system import processes
from patchbench.system.command_words import expand
from patchbench.system.processes import Guard

# A line per name. It imports only what it needs: each commit's baseline runs it.
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


def build(
    task: Task,
    arm: str,
    patch: Path | None,
    patch_sha256: str | None,
    runtime: Runtime,
    repo: Path,
    logs: Path,
    guard: Guard,
    control: str = "",
) -> Built:
    """Make an arm's image and smoke-test it. A failure is a result, not an exception. ``control``
    says how the parent's image did in the same test."""
    started = time.monotonic()
    image = runtime.image(task, arm, patch_sha256)
    failure: tuple[str, Evidence] | None = None
    made, log = Made(), logs / "build.log"
    try:
        with runtime.room(task, arm, guard):
            made = runtime.build(task, arm, image, patch, repo, log, guard)
        log = logs / "smoke.stderr"
        failure = smoke(task, arm, image, runtime, logs, guard)
    except ImageMissing as error:
        failure = "image.missing", Evidence(text=" ".join(str(error).split()))
    except BuildFailed as error:
        # Validation has applied this very patch to this very parent: it is not the patch.
        cause = "image.build_failed" if arm == BASELINE else "image.patched_failed"
        failure = cause, Evidence(text=" ".join(str(error).split())[:400], file=str(log))
    return Built(
        stage="build_image",
        commit=task.commit,
        arm=arm,
        status="failed" if failure else "ok",
        cause=failure[0] if failure else None,
        evidence=failure[1] if failure else None,
        log=str(log),
        runtime=runtime.name,
        image=image,
        image_id=made.image_id,
        made_from=made.made_from,
        layers=made.layers,
        size=made.size,
        own_size=made.own_size,
        rebuilt=made.rebuilt,
        control=control,
        patch=str(patch or ""),
        patch_sha256=patch_sha256,
        seconds=round(time.monotonic() - started, 3),
        versions=versions(task, image, runtime, logs, guard)
        if arm == BASELINE and failure is None
        else {},
    )


def smoke(
    task: Task, arm: str, image: str, runtime: Runtime, logs: Path, guard: Guard
) -> tuple[str, Evidence] | None:
    """Import the subject in the image, then start its server if the recipe says how; None if all
    goes well, else the cause and its line. What chance may have done is tried once more, as the
    table of causes says. Raises InfraFault if the machine is to blame."""
    made = 1
    while failure := _smoke_once(task, arm, image, runtime, logs, guard):
        if not retry(failure[0]).again(made):
            break
        made += 1
    return failure


def _smoke_once(
    task: Task, arm: str, image: str, runtime: Runtime, logs: Path, guard: Guard
) -> tuple[str, Evidence] | None:
    if task.subject.smoke:
        command = expand(task.subject.smoke, {"python": runtime.python(task)})
        end, log = _run(task, arm, image, runtime, command, logs / "smoke", guard)
        if end.exit_code != 0:
            cause = "image.smoke_failed" if arm == BASELINE else "patch.import"
            return _failure(task, arm, image, runtime, end, log, cause)
    if task.recipe is None or task.recipe.server_smoke is None or task.workload is None:
        return None
    end, log = _start_server(task, arm, image, runtime, logs, guard)
    if end.status == "ok":
        return None
    cause = "server.timeout" if end.status == "timeout" else "server.crash"
    cause = "image.smoke_failed" if arm == BASELINE else cause
    return _failure(task, arm, image, runtime, end, log, cause)


def _start_server(
    task: Task, arm: str, image: str, runtime: Runtime, logs: Path, guard: Guard
) -> tuple[Phase, Path]:
    """Start the server without a GPU and wait until it is ready; how that went, and its log."""
    assert task.workload is not None and task.recipe is not None
    workload = msgspec.structs.replace(task.workload, server_args=task.recipe.server_smoke or ())
    launching = launch.Launch(
        task=task,
        workload=workload,
        arm=arm,
        image=image,
        judge=image,
        folder=logs,
        runtime=runtime,
        guard=guard,
        gpus=(),
        keep=(),
    )
    return launch.only_start(launching, task.protocol.limits.smoke), logs / SERVER_ERR


def _failure(
    task: Task, arm: str, image: str, runtime: Runtime, end: Phase, log: Path, cause: str
) -> tuple[str, Evidence]:
    """What a failed smoke test means, with its line."""
    limit = explanation.reported_limit(end.flags, log)
    found = [limit, *explanation.machine_or_sandbox([log], runtime.name)]
    if first := next((shown for shown in found if shown is not None), None):
        if first.of_machine:
            raise InfraFault(
                f"{first.cause} | commit {task.commit[:8]} | arm {arm} | stage build_image | "
                f"{first.evidence.text} | nothing was charged to an agent | "
                f"log: {log}:{first.evidence.line} | "
                "next: mend the machine, then run the same command again"
            )
        return "image.smoke_failed" if arm == BASELINE else first.cause, first.evidence
    if end.status == "timeout":
        return cause, Evidence(text=f"smoke test: {end.detail}", file=str(log))
    if end.exit_code == -signal.SIGKILL:
        return "killed", Evidence(text="smoke test: ended by SIGKILL", file=str(log))
    shown = tracebacks.last_exception(log) or tracebacks.last_line(log)
    if shown is None:
        return cause, Evidence(text=f"smoke test: {end.detail}, no message", file=str(log))
    tree = runtime.tree(task, image)
    return cause, msgspec.structs.replace(shown, text=shown.text.replace(tree, ""))


def versions(task: Task, image: str, runtime: Runtime, logs: Path, guard: Guard) -> dict[str, str]:
    """Versions of Python and the packages that the subject names, as its interpreter sees them."""
    command = [runtime.python(task), "-c", VERSIONS_PROGRAM, *task.subject.versions]
    end, _ = _run(task, BASELINE, image, runtime, command, logs / "versions", guard)
    if end.status != "ok":
        return {}
    lines = (logs / "versions.stdout").read_text().splitlines()
    said = (line.partition(" ") for line in lines)
    return {name: v for name, _, v in said if name in ("python", *task.subject.versions)}


def _run(
    task: Task,
    arm: str,
    image: str,
    runtime: Runtime,
    command: list[str],
    log: Path,
    guard: Guard,
) -> tuple[Phase, Path]:
    """Run a short command in an image. Returns how it ended and the file of its stderr."""
    log.parent.mkdir(parents=True, exist_ok=True)
    clock = launch.Clock("smoke")
    child = runtime.launch(
        image,
        command,
        env=task.workload.env if task.workload else task.subject.env,
        stdout=log.with_suffix(".stdout"),
        stderr=log.with_suffix(".stderr"),
        place=Place(task.commit, arm, "smoke"),
    )
    limit = task.protocol.limits.smoke
    try:
        processes.wait_until(lambda: child.exit_code is not None, limit, guard)
        code = child.exit_code
    finally:
        child.stop(task.protocol.limits.stop)
    if code is None:
        return clock.phase(
            "timeout", f"no end within {limit:.0f} s", None, child.flags
        ), child.stderr
    status = "ok" if code == 0 else "failed"
    return clock.phase(status, launch.ended(code), code, child.flags), child.stderr
