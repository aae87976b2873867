"""The Docker runtime: every process of an arm in a sandboxed container of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import docker.errors

from patchbench.config import Containers, Sandbox
from patchbench.errors import InfraFault, infra_fault
from patchbench.records import BASELINE, Task
from patchbench.runtimes.base import ImageFacts, Place
from patchbench.runtimes.docker import labels, lease, leftovers, options
from patchbench.runtimes.docker import watchdog as watchdog_program
from patchbench.runtimes.docker.containers import REBUILD, Container
from patchbench.runtimes.docker.engine import Engine
from patchbench.runtimes.docker.image_maker import Maker, image_name
from patchbench.runtimes.docker.image_store import Store
from patchbench.runtimes.docker.judge_image import COMMAND, ENVIRONMENT, ensure_judge
from patchbench.runtimes.docker.outputs import Pipes
from patchbench.system import slurm
from patchbench.system.pid_space import identity
from patchbench.system.processes import Guard

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
        """Return a name with a digest of the inputs."""
        return image_name(task, arm, patch_sha256, self.store.campaign)

    def exists(self, image: str) -> bool:
        """Return True if the engine has the image."""
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
        was: Sequence[str] = (),
    ) -> ImageFacts:
        """Make base, parent and arm if they do not exist, and the judge's image for tasks that it
        measures."""
        maker = Maker(task, self.store, repo, log, guard, self.launch, was)
        try:
            if task.workload is not None and task.workload.load is not None:
                ensure_judge(self.store, Path(task.work), guard.check)
            return maker.make(arm, image, patch)
        except InfraFault as fault:
            # Once more, after removing leftovers.
            if fault.cause != "infra.disk_full" or not self.clean():
                raise
            return maker.make(arm, image, patch)

    def room(self, task: Task, arm: str, guard: Guard) -> AbstractContextManager[None]:
        """Wait for an image slot and for space beside the reserve. The commit no longer counts as
        finished (it may have been, before an agent was added)."""
        self.store.released(task.commit).unlink(missing_ok=True)
        return lease.Lease(task, self.store, arm).admission(guard)

    @contextmanager
    def using(self, task: Task, guard: Guard) -> Iterator[None]:
        """If each node has images of its own, keep this commit's from other jobs on the node;
        before and after, remove those of commits that are finished everywhere."""
        if not slurm.images_per_node():
            yield
            return
        own = lease.Lease(task, self.store, BASELINE)
        with own.used(guard):
            own.drop_finished(guard)
            yield
        own.drop_finished(guard)

    def remove(self, task: Task) -> list[str]:
        """Remove the commit's images, or keep them until a build needs the space."""
        limit = task.disk.keep_finished
        images = self.store.images(commit=task.commit)
        commits = self.store.commits()
        others = [c for c in commits if c != task.commit and self.store.released(c).is_file()]
        gone = self.store.remove(images) if len(others) >= limit else []
        lease.record(self.store, "released", commit=task.commit, detail=", ".join(gone))
        return gone

    def clean(self) -> list[str]:
        """Remove leftovers of dead runs; return their names."""
        return leftovers.clean(self.store)

    def disks(self) -> list[Path]:
        """Return the engine's data folder, if it can be measured from here."""
        return [self.engine.root] if self.engine.root else []

    def python(self, task: Task) -> str:
        """Return the recipe's interpreter."""
        return self.recipe.python

    def tree(self, task: Task, image: str) -> str:
        """Return the recipe's root folder."""
        return f"{self.recipe.root.rstrip('/')}/"

    def inside(self, path: Path) -> str:
        """Return the path in the one folder that holds all files of ours."""
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
        """Start a container. Its only network is a loopback, shared with the process beside it."""
        machine, root = self.task.containers, self.recipe.root
        return self._start(
            image, command, place, stdout, stderr, self.recipe.sandbox, machine, folder=root,
            env=options.environment(machine, place.gpus, root, env, self.recipe.env),
        )  # fmt: skip

    def start_judge(
        self, words: Sequence[str], *, stdout: Path, stderr: Path, place: Place
    ) -> Container:
        """Start the judge in a container of its own image, with the sandbox of the arms but without
        their mounts and their share of the cores. Makes the image if the engine lacks it."""
        sandbox = Sandbox(user=self.recipe.sandbox.user)
        image = ensure_judge(self.store, Path(self.task.work))
        return self._start(
            image, (*COMMAND, *words), place._replace(gpus=()), stdout, stderr,
            sandbox, Containers(), folder="/", env=ENVIRONMENT,
        )  # fmt: skip

    def _start(
        self,
        image: str,
        command: Sequence[str],
        place: Place,
        stdout: Path,
        stderr: Path,
        sandbox: Sandbox,
        machine: Containers,
        *,
        folder: str,
        env: Mapping[str, str],
    ) -> Container:
        self._watch(place.keep)
        pipes = Pipes(place.writes)
        rebuild = place.role == REBUILD
        beside = place.beside.id if isinstance(place.beside, Container) else None
        name = f"patchbench-{self.store.campaign}-{place.commit[:8]}-{place.arm}-{place.role}"
        try:
            config = self.engine.api.create_container_config(
                image,
                list(command),
                entrypoint=[""],
                # A shared network has one name.
                hostname=None if beside else options.HOSTNAME,
                user="0:0" if rebuild else sandbox.user,
                working_dir=folder,
                environment=dict(env),
                labels=self._labels(place),
                host_config=options.host_config(
                    self.engine.api,
                    sandbox,
                    machine,
                    network=f"container:{beside}" if beside else "none",
                    gpus=place.gpus,
                    reads=place.reads,
                    pipes=pipes.pipes,
                    writable=rebuild,
                ),
            )
            given = {"config": config, "name": f"{name}-{uuid.uuid4().hex[:8]}"}
            return Container(self.engine, given, stdout, stderr, pipes)
        except docker.errors.ImageNotFound as error:
            raise infra_fault("infra.image_lost", image, "it was removed from outside") from error
        except docker.errors.APIError as error:
            raise self.engine.fault(f"start {place.role} in {image}", error) from error

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
        """Start a watchdog that removes this job's containers if the job is killed. It holds the
        locks of the GPU slots until then."""
        if keep in self.watchdogs or not self.engine.url.startswith(SOCKET_SCHEME):
            return
        socket = self.engine.url.removeprefix(SOCKET_SCHEME)
        program = str(Path(watchdog_program.__file__))
        owner = f"{labels.OWNER}={identity(os.getpid())}"
        # In a session of its own: a signal to this job's group must not reach it.
        self.watchdogs[keep] = subprocess.Popen(
            [sys.executable, "-I", "-S", program, socket, owner],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            pass_fds=keep,
            env={},
        )
