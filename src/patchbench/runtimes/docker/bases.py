"""Bases: images with a subject's dependencies, made once per recipe and engine.

A base made by a script is a root file system as a tar archive, kept in the work folder: any engine
imports it within a second, without a registry.
"""

from __future__ import annotations

import os
from pathlib import Path

from patchbench.errors import infra_fault
from patchbench.failures import signatures
from patchbench.records import Task
from patchbench.runtimes.base import ImageMissing
from patchbench.runtimes.docker import contexts, labels
from patchbench.runtimes.docker.building import context_folder, run_build
from patchbench.runtimes.docker.image_store import BASE, Store, image_lock
from patchbench.runtimes.docker.pulling import run_pull
from patchbench.subject import Recipe
from patchbench.system import processes
from patchbench.system.files import scratch_folder
from patchbench.system.locks import locked
from patchbench.system.processes import Guard

NEEDED = ("PATH", "HOME", "LANG", "TMPDIR")
# Variables that name mirrors to pip and apt. The script is ours; no patched code sees them.
MIRRORS = ("PIP_", "UV_", "http_proxy", "https_proxy", "no_proxy", "SSL_CERT")


def base_name(task: Task) -> str:
    """Return the name of a recipe's base, the same for all campaigns: it never holds a patch."""
    assert task.recipe is not None
    return f"patchbench/{task.subject.name}-base:{task.recipe.digest[:12]}"


def ensure_base(task: Task, store: Store, log: Path, guard: Guard) -> str:
    """Make the base if the engine lacks it; return its name. Raises as ``Runtime.build``."""
    recipe = task.recipe
    assert recipe is not None
    if recipe.base.image and not recipe.fixes:
        return named(task, store, recipe.base.image, log, guard, pull=recipe.base.pull)
    name = base_name(task)
    seconds = task.protocol.limits.build
    with locked(image_lock(name), seconds=seconds, what=f"making {name}", tick=guard.check):
        if store.inspect(name) is not None:
            return name
        own = {labels.KIND: BASE, labels.RECIPE: recipe.digest, labels.IMAGE: name}
        if recipe.base.image:
            raw = named(task, store, recipe.base.image, log, guard, pull=recipe.base.pull)
        else:
            raw = f"{name}-raw" if recipe.fixes else name
            import_archive(store, root_file_system(task, log, guard), raw, own)
        if recipe.fixes:
            with context_folder() as folder:
                context = folder / "context.tar"
                context.write_bytes(contexts.base_dockerfile(recipe, raw, own))
                run_build(
                    store.engine, name, context, seconds=seconds, guard=guard, log=log,
                    network="default",
                )  # fmt: skip
    return name


def named(task: Task, store: Store, name: str, log: Path, guard: Guard, *, pull: bool) -> str:
    """Return the name of a foreign image; pull it if the engine lacks it and ``pull`` is True.
    Raises ImageMissing, else as ``run_pull``. Another image never takes its place."""
    if store.inspect(name) is not None:
        return name
    if not pull:
        raise ImageMissing(f"the engine has no image {name}, and it may not be pulled (pull: true)")
    run_pull(store.engine, name, seconds=task.protocol.limits.build, guard=guard, log=log)
    if store.inspect(name) is None:
        raise store.engine.fault(f"pull {name}", "the image is not there afterwards")
    return name


def import_archive(store: Store, archive: Path, name: str, own: dict[str, str]) -> None:
    """Import a root file system as an image. Raises InfraFault."""
    repository, _, tag = name.rpartition(":")
    with store.engine.faults(f"import {name}"):
        answer = store.engine.api.import_image(
            str(archive), repository=repository, tag=tag, changes=[contexts.label_line(own)]
        )
    if "error" in answer.lower() or store.inspect(name) is None:
        raise store.engine.fault(f"import {name}", answer or "the image is not there afterwards")


def root_file_system(task: Task, log: Path, guard: Guard) -> Path:
    """Return the archive that the recipe's script writes, made once and kept in the work folder.
    Raises InfraFault if the script fails: a base belongs to no commit, so this is never an arm's
    outcome."""
    recipe = task.recipe
    assert recipe is not None
    archive = Path(task.work) / "images" / f"{task.subject.name}-{recipe.digest}.tar"
    limit = task.protocol.limits.build
    lock = archive.with_suffix(".lock")
    with locked(lock, seconds=limit, what=f"making {archive}", tick=guard.check):
        if not archive.is_file():
            _run_script(recipe, archive, Path(task.work), log, limit, guard)
    return archive


def _run_script(
    recipe: Recipe, archive: Path, work: Path, log: Path, limit: float, guard: Guard
) -> None:
    script = Path(recipe.folder) / recipe.base.script
    env = {n: v for n, v in os.environ.items() if n in NEEDED or n.startswith(MIRRORS)}
    secrets = {name: os.environ[name] for name in recipe.base.secrets if name in os.environ}
    with scratch_folder(archive) as scratch:
        tar = scratch / "base.tar"
        # The work folder too: a script may use files that the set-up of an engine has put there.
        words = [str(path.resolve()) for path in (script, tar, work)]
        child = processes.spawn(
            ["bash", *words],
            cwd=Path.cwd(),
            env=env | secrets,
            stdout=scratch / "log",
            stderr=scratch / "errors",
        )
        try:
            in_time = processes.wait_until(lambda: child.exit_code is not None, limit, guard)
        finally:
            child.stop(2)
        files = child.stdout, child.stderr
        text = mask("".join(file.read_text(errors="replace") for file in files), secrets)
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("a", encoding="utf-8") as out:
            out.write(f"== {script}\n{text}")
        if child.exit_code == 0 and in_time and tar.is_file():
            tar.replace(archive)
            return
    cause = signatures.machine_fault(text.splitlines(), "any") or "infra.base"
    why = f"exit code {child.exit_code}" if in_time else f"no end within {limit:.0f} s"
    last = (text.strip().splitlines() or ["no message"])[-1]
    raise infra_fault(cause, str(script), f"{why}: {last}", log=log, step="mend what it says")


def mask(text: str, secrets: dict[str, str]) -> str:
    """Replace the values of secrets in a text by their names."""
    for name, value in secrets.items():
        if value:
            text = text.replace(value, f"[{name}]")
    return text
