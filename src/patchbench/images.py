"""The build stage: one image per arm, and the cheap proof that it imports.

The parent's image is the control: only where it imports is an import error an agent's.
"""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path

import msgspec

from patchbench import processes
from patchbench.errors import InfraFault
from patchbench.failures import signatures
from patchbench.processes import Guard
from patchbench.records import BASELINE, Built, Evidence, Task
from patchbench.runtimes import BuildFailed, Runtime
from patchbench.templates import expand

VERSIONS_PROGRAM = """
import importlib.metadata as m, json, platform, sys
out = {"python": platform.python_version()}
for name in sys.argv[1:]:
    try:
        out[name] = m.version(name)
    except m.PackageNotFoundError:
        out[name] = "not installed"
print(json.dumps(out))
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
) -> Built:
    """Make an arm's image and smoke-test it. A failure is a result, not an exception."""
    started = time.monotonic()
    image = runtime.image(task, arm, patch_sha256)
    failure: tuple[str, Evidence] | None = None
    try:
        if not runtime.exists(image):
            runtime.build(task, image, patch, repo)
        failure = smoke(task, arm, image, runtime, logs, guard)
    except BuildFailed as error:
        # Validation has applied this very patch to this very parent: it is not the patch.
        cause = "image.build_failed" if arm == BASELINE else "image.patched_failed"
        failure = cause, Evidence(text=str(error).splitlines()[0])
    return Built(
        stage="build_image",
        commit=task.commit,
        arm=arm,
        status="failed" if failure else "ok",
        cause=failure[0] if failure else None,
        evidence=failure[1] if failure else None,
        log=str(logs / "smoke.stderr"),
        runtime=runtime.name,
        image=image,
        patch=str(patch or ""),
        patch_sha256=patch_sha256,
        seconds=round(time.monotonic() - started, 3),
        versions=versions(task, image, runtime, logs, guard) if arm == BASELINE else {},
    )


def smoke(
    task: Task, arm: str, image: str, runtime: Runtime, logs: Path, guard: Guard
) -> tuple[str, Evidence] | None:
    """Run the subject's smoke command; None if it passes, else the cause and its line."""
    if not task.subject.smoke:
        return None
    command = expand(task.subject.smoke, {"python": runtime.python(task)})
    code, log = _run(task, image, runtime, command, logs / "smoke", guard)
    if code == 0:
        return None
    if infra := signatures.search([log]):
        cause, evidence = infra[0]
        raise InfraFault(
            f"{cause} | commit {task.commit[:8]} | arm {arm} | stage build_image | "
            f"{evidence.text} | nothing was charged to an agent | log: {log}:{evidence.line} | "
            "next: mend the machine, then run the same command again"
        )
    cause = "image.smoke_failed" if arm == BASELINE else "patch.import"
    if code is None:
        limit = task.protocol.limits.smoke
        return cause, Evidence(text=f"smoke test: no end within {limit:.0f} s", file=str(log))
    if code == -signal.SIGKILL:
        return "killed", Evidence(text="smoke test: ended by SIGKILL", file=str(log))
    shown = signatures.last_exception(log) or signatures.last_line(log)
    if shown is None:
        return cause, Evidence(text=f"smoke test: exit code {code}, no message", file=str(log))
    tree = f"{Path(image).resolve()}/"
    return cause, msgspec.structs.replace(shown, text=shown.text.replace(tree, ""))


def versions(task: Task, image: str, runtime: Runtime, logs: Path, guard: Guard) -> dict[str, str]:
    """Versions of Python and the packages that the subject names, as its interpreter sees them."""
    command = [runtime.python(task), "-c", VERSIONS_PROGRAM, *task.subject.versions]
    code, _ = _run(task, image, runtime, command, logs / "versions", guard)
    if code != 0:
        return {}
    found: dict[str, str] = json.loads((logs / "versions.stdout").read_text())
    return found


def _run(
    task: Task, image: str, runtime: Runtime, command: list[str], log: Path, guard: Guard
) -> tuple[int | None, Path]:
    """Run a short command in an image. Returns its exit code (None: too late) and its stderr."""
    log.parent.mkdir(parents=True, exist_ok=True)
    child = runtime.launch(
        image,
        command,
        env=task.workload.env if task.workload else task.subject.env,
        stdout=log.with_suffix(".stdout"),
        stderr=log.with_suffix(".stderr"),
    )
    try:
        processes.wait_until(lambda: child.exit_code is not None, task.protocol.limits.smoke, guard)
        code = child.exit_code
    finally:
        processes.stop(child, task.protocol.limits.stop)
    return code, child.stderr
