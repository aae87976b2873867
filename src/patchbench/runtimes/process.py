"""The process runtime: a tree per arm and plain processes, for trusted patches only.

An image is a folder: the parent's files, the patch applied (without its changes to benchmark code,
which validation removes), and links to an installed package's compiled files if the subject has an
overlay.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

import patchbench
from patchbench.errors import infra_fault
from patchbench.patches import git
from patchbench.records import Task
from patchbench.runtimes import tree_manifest
from patchbench.runtimes.base import BuildFailed, ImageFacts, Place
from patchbench.system import disk, processes
from patchbench.system.files import digest, scratch_folder
from patchbench.system.locks import locked
from patchbench.system.processes import Guard

# Bump if trees are made in another way.
RECIPE = 1

# Processes whose tree was looked at just before, for the server that they belong to.
UNCHECKED = ("probe", "client", "judge")
# The part of the caller's environment that a subject sees: no tokens.
INHERITED = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "LD_LIBRARY_PATH", "CUDA_VISIBLE_DEVICES")
# The part that the judge sees: what its interpreter needs.
OF_JUDGE = ("PATH", "LANG", "LC_ALL", "TMPDIR", "LD_LIBRARY_PATH")
# The folder from which this package is imported.
PACKAGES = Path(patchbench.__file__).parents[1]


class ProcessRuntime:
    """Runs arms as plain processes of this machine."""

    name = "process"

    def __init__(self, work: Path, results: Path) -> None:
        self.work, self.results = work, results
        # Per campaign: the release of another campaign must not remove these trees.
        self.trees = work / "trees" / digest(str(results.resolve()), 8)

    def image(self, task: Task, arm: str, patch_sha256: str | None) -> str:
        """Return a folder with a digest of the inputs in its name."""
        inputs = {
            "recipe": RECIPE,
            "parent": task.parent,
            "patch": patch_sha256,
            "overlay": task.subject.overlay,
        }
        return str(self._folder(task) / f"{arm}-{digest(inputs, 12)}")

    def _folder(self, task: Task) -> Path:
        return self.trees / task.subject.name / task.commit[:12]

    def exists(self, image: str) -> bool:
        """Return True if the tree exists as it was made. It appears whole or not at all."""
        return Path(image).is_dir() and not tree_manifest.damage(Path(image))

    def build(
        self,
        task: Task,
        arm: str,
        image: str,
        patch: Path | None,
        repo: Path,
        log: Path,
        guard: Guard,
        was: Sequence[str] = (),
    ) -> ImageFacts:
        """Unpack the parent, apply the patch, link compiled files."""
        target = Path(image)
        lock = target.with_name(f".{target.name}.lock")
        what = f"building {target.name}"
        with locked(lock, seconds=task.protocol.limits.build, what=what, tick=guard.check):
            if not self.exists(image):
                shutil.rmtree(target, ignore_errors=True)
                self._make(task, target, patch, repo)
        return ImageFacts()

    @contextmanager
    def room(self, task: Task, arm: str, guard: Guard) -> Iterator[None]:
        """Check that the reserve is free: trees are small."""
        disk.check([self.work, self.results], task.disk, f"stage build_image | arm {arm}")
        yield

    def using(self, task: Task, guard: Guard) -> AbstractContextManager[None]:
        """Do nothing: trees lie in the work folder, which all machines share."""
        return nullcontext()

    def _make(self, task: Task, target: Path, patch: Path | None, repo: Path) -> None:
        assert task.parent is not None
        with scratch_folder(target) as tree:
            git.extract(repo, task.parent, tree)
            if patch is not None:
                try:
                    git.apply(tree, patch)
                except git.GitError as error:
                    raise BuildFailed(str(error)) from error
            self._overlay(task, tree)
            tree_manifest.write(tree, target)
            tree.rename(target)

    def _overlay(self, task: Task, tree: Path) -> None:
        overlay = task.subject.overlay
        if overlay is None:
            return
        folder = Path(overlay.folder).resolve()
        if not folder.is_dir():
            raise BuildFailed(f"overlay: no folder {folder}")
        for pattern in overlay.patterns:
            for source in folder.glob(pattern):
                link = tree / source.relative_to(folder)
                if source.is_file() and not link.exists():
                    link.parent.mkdir(parents=True, exist_ok=True)
                    link.symlink_to(source)

    def remove(self, task: Task) -> list[str]:
        """Remove the trees of the task's commit; return their names."""
        folder = self._folder(task)
        trees = folder.iterdir() if folder.is_dir() else ()
        names = sorted(str(tree) for tree in trees if not tree.name.startswith("."))
        shutil.rmtree(folder, ignore_errors=True)
        return names

    def clean(self) -> list[str]:
        """End processes with a dead owner; return them."""
        return processes.end_leftovers()

    def disks(self) -> list[Path]:
        """Return the work folder."""
        return [self.work]

    def inside(self, path: Path) -> str:
        """Return the absolute path: a plain process sees the same files."""
        return str(path.resolve())

    def tree(self, task: Task, image: str) -> str:
        """Return the image itself."""
        return f"{Path(image).resolve()}/"

    def python(self, task: Task) -> str:
        """Return the subject's interpreter, else the one that runs the workflow."""
        return str(Path(task.subject.python).absolute()) if task.subject.python else sys.executable

    def launch(
        self,
        image: str,
        command: Sequence[str],
        *,
        env: Mapping[str, str],
        stdout: Path,
        stderr: Path,
        place: Place,
    ) -> processes.Child:
        """Start a process in the tree, with the tree first on Python's path. Raises InfraFault if
        the tree is not as it was made: the next try makes it anew."""
        tree = Path(image).resolve()
        if place.role not in UNCHECKED and (changed := tree_manifest.damage(tree)):
            facts = f"commit {place.commit[:8]}", f"arm {place.arm}", f"{tree}: {changed}"
            raise infra_fault("infra.tree_changed", *facts, step="see what writes there")
        environment = {
            **{name: os.environ[name] for name in INHERITED if name in os.environ},
            "PYTHONPATH": str(tree),
            "PYTHONHASHSEED": "0",
            "TZ": "UTC",
            **({"CUDA_VISIBLE_DEVICES": ",".join(place.gpus)} if place.gpus else {}),
            **env,
        }
        return processes.spawn(
            command, cwd=tree, env=environment, stdout=stdout, stderr=stderr, keep=place.keep
        )

    def start_judge(
        self, words: Sequence[str], *, stdout: Path, stderr: Path, place: Place
    ) -> processes.Child:
        """Start the judge in the workflow's own interpreter."""
        return processes.spawn(
            # -P: no module is imported from the working folder.
            [sys.executable, "-P", "-m", "patchbench.judge", *words],
            cwd=stdout.parent,
            env={
                **{name: os.environ[name] for name in OF_JUDGE if name in os.environ},
                "PYTHONPATH": str(PACKAGES),
            },
            stdout=stdout,
            stderr=stderr,
            keep=place.keep,
        )
