"""The Docker runtime: every process of an arm in a container of its own, in a sandbox."""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import docker.errors

from patchbench.errors import InfraFault
from patchbench.records import BASELINE, Task
from patchbench.runtimes.base import Made, Place
from patchbench.runtimes.docker import labels, lease, leftovers, options
from patchbench.runtimes.docker import watchdog as watchdog_program
from patchbench.runtimes.docker.containers import REBUILD, Container
from patchbench.runtimes.docker.engine import Engine
from patchbench.runtimes.docker.image_maker import Maker, image_name
from patchbench.runtimes.docker.image_store import Store
from patchbench.runtimes.docker.outputs import Pipes
from patchbench.system import slurm
from patchbench.system.processes import Guard, identity

SOCKET_SCHEME = "unix://"


class DockerRuntime:
    """Runs one task's arms in containers of a Docker engine."""

    name = "docker"

    def __init__(self, task: Task, results: Path) -> None:
        assert task.recipe is not None
        self.task, self.recipe = task, task.recipe
        self.engine = Engine(task.containers.engine)
        self.store = Store(self.engine, results)
        self.watchdogs: dict[tuple[int, ...], subprocess.Popen[bytes]] = {}

    def image(self, task: Task, arm: str, patch_sha256: str | None) -> str:
        """A name that says what it is made from."""
        return image_name(task, arm, patch_sha256, self.store.campaign)

    def exists(self, image: str) -> bool:
        """Whether the engine has it."""
        return self.store.inspect(image) is not None

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
        """Make the base, the parent and the arm, as far as they are not there."""
        maker = Maker(task, self.store, repo, log, guard, self.launch)
        try:
            return maker.make(arm, image, patch)
        except InfraFault as fault:
            # Once more after taking away what is ours and nobody needs.
            if fault.cause != "infra.disk_full" or not self.clean():
                raise
            return maker.make(arm, image, patch)

    def room(self, task: Task, arm: str, guard: Guard) -> AbstractContextManager[None]:
        """A slot for the commit and space beside the reserve. Whoever makes images of a commit has
        work for them: that it was finished once, before an agent came say, holds no longer."""
        self.store.released(task.commit).unlink(missing_ok=True)
        return lease.Lease(task, self.store, arm).held(guard)

    @contextmanager
    def using(self, task: Task, guard: Guard) -> Iterator[None]:
        """Where each machine has images of its own, have other jobs on it leave this commit's
        alone; before and after, take away those that nobody on any machine needs any more."""
        if not slurm.images_per_node():
            yield
            return
        mine = lease.Lease(task, self.store, BASELINE)
        with mine.used(guard):
            mine.drop_finished()
            yield
        mine.drop_finished()

    def remove(self, task: Task) -> list[str]:
        """Remove the commit's images, or leave them until their room is needed."""
        kept = task.disk.keep_finished
        mine = self.store.images(commit=task.commit)
        commits = self.store.commits()
        others = [c for c in commits if c != task.commit and self.store.released(c).is_file()]
        gone = self.store.remove(mine) if len(others) >= kept else []
        lease.record(self.store, "released", commit=task.commit, detail=", ".join(gone))
        return gone

    def clean(self) -> list[str]:
        """Remove what dead runs left."""
        return leftovers.clean(self.store)

    def disks(self) -> list[Path]:
        """The engine's data root, if it can be seen from here."""
        return [self.engine.root] if self.engine.root else []

    def python(self, task: Task) -> str:
        """The recipe's interpreter."""
        return self.recipe.python

    def tree(self, task: Task, image: str) -> str:
        """The recipe's root."""
        return f"{self.recipe.root.rstrip('/')}/"

    def inside(self, path: Path) -> str:
        """All files of ours stand in one folder."""
        return options.inside(path)

    def launch(
        self,
        image: str,
        command: Sequence[str],
        *,
        env: Mapping[str, str],
        stdout: Path,
        stderr: Path,
        place: Place,
    ) -> Container:
        """Start a container: no network but its own loopback, or that of the one it runs beside."""
        beside = place.beside
        network = f"container:{beside.id}" if isinstance(beside, Container) else "none"
        self._watch(place.keep)
        pipes = Pipes(place.writes)
        try:
            given = self._config(image, command, env, place, network, pipes)
            return Container(self.engine, given, stdout, stderr, pipes)
        except docker.errors.ImageNotFound as error:
            raise InfraFault(
                f"infra.image_lost | {image} | somebody removed it | nothing was charged to an "
                "agent | next: run the same command again, which makes it anew"
            ) from error
        except docker.errors.APIError as error:
            raise self.engine.fault(f"start {place.role} in {image}", error) from error

    def _config(
        self,
        image: str,
        command: Sequence[str],
        env: Mapping[str, str],
        place: Place,
        network: str,
        pipes: Pipes,
    ) -> dict[str, object]:
        rebuild = place.role == REBUILD
        machine = self.task.containers
        host = options.host_config(
            self.engine.api,
            self.recipe.sandbox,
            machine,
            network=network,
            gpus=place.gpus,
            reads=place.reads,
            pipes=pipes.pipes,
            writable=rebuild,
        )
        name = f"patchbench-{self.store.campaign}-{place.commit[:8]}-{place.arm}-{place.role}"
        config = self.engine.api.create_container_config(
            image,
            list(command),
            entrypoint=[""],
            user="0:0" if rebuild else self.recipe.sandbox.user,
            working_dir=self.recipe.root,
            environment=options.environment(
                machine, place.gpus, self.recipe.root, env, self.recipe.env
            ),
            labels=self._labels(place),
            host_config=host,
        )
        return {"config": config, "name": f"{name}-{uuid.uuid4().hex[:8]}"}

    def _labels(self, place: Place) -> dict[str, str]:
        return {
            labels.KIND: place.role,
            labels.CAMPAIGN: self.store.campaign,
            labels.RESULTS: str(self.store.results.resolve()),
            labels.COMMIT: place.commit,
            labels.ARM: place.arm,
            labels.RECIPE: self.recipe.digest,
            labels.OWNER: identity(os.getpid()) or "",
            labels.JOB: slurm.job(),
            labels.SPACE: labels.space(),
        }

    def _watch(self, keep: tuple[int, ...]) -> None:
        """Have somebody remove this job's containers should it be killed. It holds the GPU's lock
        until that is done."""
        if keep in self.watchdogs or not self.engine.url.startswith(SOCKET_SCHEME):
            return
        socket = self.engine.url.removeprefix(SOCKET_SCHEME)
        program = str(Path(watchdog_program.__file__))
        mine = f"{labels.OWNER}={identity(os.getpid())}"
        # In a session of its own: a signal to this job's group must not reach it.
        self.watchdogs[keep] = subprocess.Popen(
            [sys.executable, "-I", "-S", program, socket, mine],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            pass_fds=keep,
            env={},
        )
