"""Inputs of a block and of one launch, and how the processes of a launch are started."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from patchbench.grading.run_folder import SECRET, block_folder, window_files
from patchbench.inside import probe
from patchbench.ledger import journal
from patchbench.ledger.journal import Event
from patchbench.records import AA, BASELINE, Built, Task, Workload
from patchbench.runtimes import Child, Place, Runtime
from patchbench.system import gpu_driver, gpu_slots
from patchbench.system.command_words import Value, expand
from patchbench.system.processes import Guard

HOST = "127.0.0.1"
SEED = 0
PROBE_ROLE = "probe"
PROBE = Path(probe.__file__)


class BlockContext(NamedTuple):
    """Inputs of a block. ``rebuild`` makes an evicted image again; ``on_finished`` is called with
    the journal's event of each finished launch."""

    task: Task
    block: int
    digest: str
    images: dict[str, Built]
    results: Path
    slots: int
    runtime: Runtime
    guard: Guard
    rebuild: Callable[[Built], None]
    on_finished: Callable[[Event], None]

    @property
    def folder(self) -> Path:
        """Folder of the block's launches."""
        return block_folder(self.results, self.task.commit, self.block)

    @property
    def secret(self) -> Path:
        """File of the block's secret, until it is opened (see ``sealing``)."""
        return self.folder / SECRET

    @property
    def is_judged(self) -> bool:
        """True if the judge measures the launches."""
        workload = self.task.workload
        return workload is not None and workload.load is not None

    @property
    def journal(self) -> Path:
        """Journal of the block."""
        return journal.path(self.results, self.task.commit, self.block)

    @property
    def name(self) -> str:
        """The block in words, for messages."""
        return f"block {self.block} of {self.task.commit[:8]}"

    def image(self, arm: str) -> Built:
        """Return the image of an arm. The A/A arm uses the baseline's."""
        return self.images[BASELINE if arm == AA else arm]

    def events(self) -> list[Event]:
        """Return the events in the block's journal."""
        return journal.read(self.journal)

    def write_event(self, event: str, **fields: object) -> None:
        """Append an event to the block's journal."""
        record = Event(
            event=event,  # type: ignore[arg-type]
            at=journal.now(),
            commit=self.task.commit,
            block=self.block,
            digest=self.digest,
            **fields,  # type: ignore[arg-type]
        )
        journal.write(self.journal, record)
        if event == "run_finished":
            self.on_finished(record)

    def launch(self, arm: str, folder: Path, slot: gpu_slots.Slot) -> LaunchContext:
        """Return the inputs of a launch of an arm on a slot."""
        assert self.task.workload is not None
        return LaunchContext(
            task=self.task,
            workload=self.task.workload,
            arm=arm,
            image=self.image(arm).image,
            client_image=self.image(BASELINE).image,
            folder=folder,
            runtime=self.runtime,
            guard=self.guard,
            gpus=self.gpu_names(slot),
            keep=slot.fds,
            block=self.block,
            secret=self.secret,
        )

    def gpu_names(self, slot: gpu_slots.Slot) -> tuple[str, ...]:
        """Return the names of the slot's GPUs for the runtime. A container engine runs outside of
        the Slurm job, so it needs names that are valid on the whole node."""
        if self.runtime.name != "docker":
            return slot.devices
        if self.task.containers.gpu == "nvidia":
            return gpu_slots.named_outside(slot, gpu_driver.uuid)
        templates = self.task.containers.devices
        return gpu_slots.node_numbers(
            slot,
            gpu_driver.minors(),
            lambda number: all(Path(node.format(index=number)).exists() for node in templates),
        )


class LaunchContext(NamedTuple):
    """Inputs of a launch. Every client and probe runs from ``client_image``, the baseline's image:
    a patch can't touch the client that measures it. ``secret`` is the file of the block's secret,
    from which the judge draws prompts."""

    task: Task
    workload: Workload
    arm: str
    image: str
    client_image: str
    folder: Path
    runtime: Runtime
    guard: Guard
    gpus: tuple[str, ...] = ()
    keep: tuple[int, ...] = ()
    block: int = 1
    secret: Path | None = None

    @property
    def model(self) -> tuple[Path, ...]:
        """The model's folder, if the workload names a local one."""
        path = Path(self.workload.model)
        return (path.absolute(),) if path.exists() else ()

    def place(self, role: str, **fields: Any) -> Place:
        """Return the place of a process of this launch. A probe gets no GPU."""
        gpus = () if role == PROBE_ROLE else self.gpus
        return Place(self.task.commit, self.arm, role, gpus=gpus, keep=self.keep, **fields)

    def start(self, image: str, command: Sequence[str], name: str, place: Place) -> Child:
        """Start a process in an image. Its output goes to NAME.stdout and NAME.stderr in the
        launch's folder. Raises InfraFault if it can't be started."""
        return self.runtime.launch(
            image,
            command,
            env=self.workload.env,
            stdout=self.folder / f"{name}.stdout",
            stderr=self.folder / f"{name}.stderr",
            place=place._replace(reads=(*place.reads, *self.model)),
        )

    def start_probe(
        self, server: Child, mode: str, port: int, path: str, seconds: float, *more: str
    ) -> Child:
        """Start a probe (see ``inside.probe``) in the server's network."""
        python = self.runtime.python(self.task)
        words = [python, "-I", self.runtime.inside(PROBE), mode, HOST, str(port), path]
        place = self.place(PROBE_ROLE, beside=server, reads=(PROBE,))
        return self.start(
            self.client_image, [*words, f"{seconds:.3f}", *more], f"probe-{mode}", place
        )

    def command(self, words: Sequence[str], window: int = 1, /, **more: Value) -> list[str]:
        """Return a command with its placeholders filled. Each window has a seed of its own, equal
        for all arms, so that no prompt of it was cached by an earlier window."""
        result = self.runtime.inside(self.folder.resolve() / window_files(window).result)
        values: dict[str, Value] = {
            "python": self.runtime.python(self.task),
            "host": HOST,
            "model": self.runtime.inside(self.model[0]) if self.model else self.workload.model,
            "model_name": self.workload.model.rstrip("/").rpartition("/")[2],
            "seed": str(SEED + window - 1),
            "server_args": self.workload.server_args,
            "client_args": self.workload.client_args,
            "result_dir": result.rpartition("/")[0],
            "result_name": result.rpartition("/")[2],
            "result": result,
            "check_args": (),
        }
        return expand(words, values | more)
