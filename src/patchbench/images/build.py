"""Build stage: one image per arm and its smoke test.

The parent's image is the control: only if it imports is an import error an agent's, and only if its
own sources compile is an error of the compiler.
"""

from __future__ import annotations

import time
from pathlib import Path

from patchbench.images import smoke
from patchbench.records import BASELINE, Built, Evidence, Task
from patchbench.runtimes import BuildFailed, ImageFacts, ImageMissing, RebuildFailed, Runtime
from patchbench.system.processes import Guard


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
    """Make an arm's image, test it and return its record; a failure is a record too. ``control``
    is the result of the parent's image in the same test. Raises InfraFault, Stopped."""
    started = time.monotonic()
    image = smoke.ArmImage(task, arm, runtime.image(task, arm, patch_sha256), runtime, logs, guard)
    failure: tuple[str, Evidence] | None = None
    facts, log = ImageFacts(), logs / "build.log"
    try:
        with runtime.room(task, arm, guard):
            facts = runtime.build(task, arm, image.name, patch, repo, log, guard)
        log = logs / "smoke.stderr"
        if failed := smoke.test(image):
            failure = failed.cause, failed.evidence
    except ImageMissing as error:
        failure = "image.missing", Evidence(text=" ".join(str(error).split()))
    except RebuildFailed as error:
        cause = "patch.compile" if error.parent_builds else "image.patched_failed"
        failure = cause, Evidence(text=" ".join(str(error).split())[:400], file=str(log))
    except BuildFailed as error:
        # Validation has applied this patch to this parent, so the patch is not to blame.
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
        image=image.name,
        image_id=facts.image_id,
        made_from=facts.made_from,
        layers=facts.layers,
        size=facts.size,
        own_size=facts.own_size,
        rebuilt=facts.rebuilt,
        control=control,
        patch=str(patch or ""),
        patch_sha256=patch_sha256,
        seconds=round(time.monotonic() - started, 3),
        versions=smoke.versions(image) if arm == BASELINE and failure is None else {},
    )
