"""The Apptainer runtime: the process runtime's trees, each process in a container over a base.

What it has not been run with is Apptainer itself: see docs/slurm.md. It therefore takes trusted
patches only.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from patchbench.errors import BadInput, InfraFault
from patchbench.records import Task
from patchbench.runtimes.apptainer import options, program
from patchbench.runtimes.apptainer.network import Network
from patchbench.runtimes.base import ImageMissing, Made, Place
from patchbench.runtimes.process import ProcessRuntime
from patchbench.system import processes
from patchbench.system.files import scratch_folder
from patchbench.system.locks import locked
from patchbench.system.processes import Guard, wait_until

# What the program itself needs of the caller's environment.
OUTER = ("PATH", "HOME", "USER", "LANG", "TMPDIR", "LD_LIBRARY_PATH", "CUDA_VISIBLE_DEVICES")
OUTER_PREFIXES = ("APPTAINER_", "SINGULARITY_")


class Contained:
    """A process in a container: ``runtimes.base.Child``. It ends its network if that is its own."""

    def __init__(
        self, child: processes.Child, network: Network, owner: bool, writes: Sequence[Path]
    ) -> None:
        self.child, self.network, self.owner, self.writes = child, network, owner, writes
        self.stdout, self.stderr = child.stdout, child.stderr

    @property
    def exit_code(self) -> int | None:
        """None while it runs; negative is the number of the signal that ended it."""
        return options.exit_code(self.child.exit_code)

    @property
    def flags(self) -> tuple[str, ...]:
        """No limit of its own: memory and processes are bounded by the Slurm job."""
        return ()

    def stop(self, seconds: float) -> str:
        """End the container and, after the server's, the network that others shared with it."""
        try:
            return self.child.stop(seconds)
        finally:
            if self.owner:
                self.network.end()
            for path in self.writes:  # made for the bind; nothing was written
                if path.is_file() and path.stat().st_size == 0:
                    path.unlink()


class ApptainerRuntime(ProcessRuntime):
    """Runs arms in containers. Trees are bound into a base that all arms share."""

    name = "apptainer"

    def __init__(self, task: Task, results: Path) -> None:
        super().__init__(Path(task.work), results)
        assert task.recipe is not None, "the Apptainer runtime needs a recipe"
        self.task, self.recipe = task, task.recipe
        program.refuse(self.recipe, task.subject.name)
        self.program = program.find()

    @property
    def base(self) -> Path:
        """The root file system of the recipe: a folder, or a file that was pulled."""
        folder, name = self.work / "images", f"{self.task.subject.name}-{self.recipe.digest}"
        return folder / (f"{name}.sif" if self.recipe.base.image else f"{name}.root")

    def build(
        self,
        task: Task,
        arm: str,
        image: str,
        patch: Path | None,
        repo: Path,
        log: Path,
        guard: Guard,
    ) -> Made:
        """The base if it isn't there yet, then the arm's tree."""
        limit = task.protocol.limits.build
        lock = self.base.with_suffix(".base-lock")
        with locked(lock, seconds=limit, what=f"making {self.base}", tick=guard.check):
            if not self.base.exists():
                self._make_base(log, guard)
        return super().build(task, arm, image, patch, repo, log, guard)

    def _make_base(self, log: Path, guard: Guard) -> None:
        self.base.parent.mkdir(parents=True, exist_ok=True)
        log.parent.mkdir(parents=True, exist_ok=True)
        image = self.recipe.base.image
        with scratch_folder(self.base) as scratch:
            made = scratch / "base"
            if image:
                if not self.recipe.base.pull:
                    raise ImageMissing(f"{image} is not there and may not be pulled (pull: true)")
                self._run([self.program, "pull", str(made), f"docker://{image}"], log, guard)
            else:
                from patchbench.runtimes.docker.bases import root_file_system

                archive = root_file_system(self.task, log, guard)
                made.mkdir()
                # Device nodes need privileges, and the container has its own.
                words = ["tar", "--extract", "--no-same-owner", "--exclude=./dev/*"]
                words += ["--exclude=dev/*", "--directory", str(made), "--file", str(archive)]
                self._run(words, log, guard)
            made.rename(self.base)

    def _run(self, words: Sequence[str], log: Path, guard: Guard) -> None:
        limit = self.task.protocol.limits.build
        child = processes.spawn(
            words, cwd=Path.cwd(), env=dict(os.environ), stdout=log, stderr=log.with_suffix(".err")
        )
        try:
            wait_until(lambda: child.exit_code is not None, limit, guard)
            code = child.exit_code
        finally:
            child.stop(2)
        if code != 0:
            said = child.stderr.read_text(errors="replace").strip().splitlines() or ["no message"]
            raise InfraFault(
                f"infra.base | {words[0]} | exit code {code}: {said[-1][:300]} | nothing was "
                f"charged to an agent | log: {child.stderr} | next: mend what it says, then run "
                "the same command again"
            )

    def inside(self, path: Path) -> str:
        """All files of ours stand in one folder."""
        return options.inside(path)

    def tree(self, task: Task, image: str) -> str:
        """The recipe's root, where the tree is bound."""
        return f"{self.recipe.root.rstrip('/')}/"

    def python(self, task: Task) -> str:
        """The recipe's interpreter."""
        return self.recipe.python

    def launch(  # type: ignore[override]
        self,
        image: str,
        command: Sequence[str],
        *,
        env: Mapping[str, str],
        stdout: Path,
        stderr: Path,
        place: Place,
    ) -> Contained:
        """Start a process in a container, in a network of its own or that of the one beside."""
        beside = place.beside
        machine = self.task.containers
        for path in place.writes:
            path.touch()
        try:
            bound = options.binds(Path(image), self.recipe.root, machine, place.reads, place.writes)
            words = options.exec_words(
                self.program, self.base, bound, command,
                root=self.recipe.root, nvidia=bool(place.gpus) and machine.gpu == "nvidia",
            )  # fmt: skip
        except ValueError as error:
            raise BadInput(f"runtime: apptainer: {error}") from error
        outer = {
            name: value
            for name, value in os.environ.items()
            if name in OUTER or name.startswith(OUTER_PREFIXES)
        }
        environment = options.environment(
            outer, self.recipe.root, place.gpus, machine.env, env, self.recipe.env
        )
        joined = isinstance(beside, Contained)
        network = beside.network if isinstance(beside, Contained) else Network()
        try:
            child = processes.spawn(
                [*network.enter(), *words],
                cwd=Path(image), env=environment, stdout=stdout, stderr=stderr, keep=place.keep,
            )  # fmt: skip
        except BaseException:
            if not joined:
                network.end()
            raise
        return Contained(child, network, not joined, place.writes)
