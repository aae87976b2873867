"""One case: a run that is struck at a moment, mended, and made again by the same command."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO

import psutil

from tests.faults import cut, moments, survey
from tests.faults.bed import Bed
from tests.faults.kind import Kind
from tests.faults.moments import Moment
from tests.workflow.project import BIN, kill_group

# Seconds after which a watchdog must have removed what a dead run left.
SETTLE_SECONDS = 60.0
AGAIN_SECONDS = 600.0


class Missed(Exception):
    """The run had ended before the fault could strike."""


class Case:
    """A kind of fault with a seed, in a project of its own."""

    def __init__(self, bed: Bed, kind: Kind, seed: int, attempt: int) -> None:
        self.bed, self.kind, self.seed = bed, kind, seed
        self.random = random.Random(f"{kind.name}-{seed}-case")
        self.name = f"{kind.name}-{seed}"
        self.moment: Moment = moments.drawn(
            kind.name, seed, kind.moments, cut.launches(kind.runtime, kind.slots), attempt
        )
        self.project, self.args = bed.project(self.name, kind.runtime, kind.slots)
        self.process: subprocess.Popen[bytes] | None = None
        # Launches that the fault itself destroyed, by their folder's path within the results:
        # they alone may be made again.
        self.destroyed: set[str] = set()
        self.files = survey.FilesByLaunch()
        self.undo: list[Callable[[], object]] = []
        self.note = ""
        # Files of others, which must be as they are; None if there must be no such file.
        self.others: dict[Path, bytes | None] = {}
        self.program = BIN / "snakemake"
        # Words before the command, and a pipe to print to instead of a file.
        self.prefix: tuple[str, ...] = ()
        self.read_end: int | None = None
        self.write_end: int | None = None
        # The file that the fault damaged, if it is one.
        self.damaged: Path | None = None

    # --- the struck run ----------------------------------------------------------------------

    def start(self, *more: str) -> None:
        """Start the run, or start it once more."""
        with (self.project.folder / "started.log").open("ab") as log:
            self.process = self.popen(self.write_end or log, *self.kind.options, *more)
        if self.write_end is not None:
            os.close(self.write_end)
            self.write_end = None

    def popen(self, out: IO[bytes] | int, *more: str) -> subprocess.Popen[bytes]:
        """Start Snakemake in a process group of its own, printing to a file."""
        return subprocess.Popen(
            [*self.prefix, str(self.program), *self.args, *more],
            cwd=self.project.folder,
            env=self.project.env,
            stdout=out,
            stderr=out,
            start_new_session=True,
        )

    def again(self, seconds: float) -> subprocess.CompletedProcess[str]:
        """Run the same command to its end. Raises TimeoutExpired."""
        done = self.project.snakemake(*self.args, timeout=seconds)
        with (self.project.folder / "started.log").open("a") as log:
            log.write(f"--- the same command again\n{done.stderr}--- exit code {done.returncode}\n")
        return done

    @property
    def pid(self) -> int:
        """The process id of the run's Snakemake, which is its group's too."""
        assert self.process is not None
        return self.process.pid

    def over(self) -> bool:
        """Return True if the run has ended."""
        return self.process is None or self.process.poll() is not None

    def wait(self, condition: Callable[[], bool], seconds: float = 300.0) -> None:
        """Wait until a condition holds. Raises Missed if the run ends first, or it never holds."""
        deadline = time.monotonic() + seconds
        while not condition():
            if self.over():
                raise Missed
            if time.monotonic() > deadline:
                raise Missed(f" (waited {seconds:.0f} s)")
            time.sleep(0.02)

    def await_moment(self) -> None:
        """Wait until it is time to strike. Raises Missed."""
        self.wait(lambda: self.moment.there(self.project), 300)
        time.sleep(self.moment.delay)
        if self.over():
            raise Missed

    def kill(self) -> None:
        """End the run as a power cut would: all of its processes, servers and watchdogs too."""
        assert self.process is not None
        for process in (psutil.Process(self.pid), *self.project.processes()):
            try:
                process.kill()
            except psutil.Error:
                continue
        self.process.wait()

    def remember(self) -> None:
        """Note all finished results. Earlier notes stay unchanged."""
        self.files = survey.finished(self.project) | self.files

    def await_end(self) -> bool:
        """Wait until the run ends and return True, or kill it and return False."""
        assert self.process is not None
        try:
            self.process.wait(self.kind.seconds)
        except subprocess.TimeoutExpired:
            kill_group(self.process)
            return False
        return True

    def settle(self) -> list[str]:
        """Wait a while and return the processes and containers that are left of the struck run."""
        deadline = time.monotonic() + SETTLE_SECONDS
        while (left := survey.running(self)) and time.monotonic() < deadline:
            time.sleep(0.2)
        return left

    @property
    def output(self) -> str:
        """Return all that was printed so far."""
        log = self.project.folder / "started.log"
        return log.read_text(errors="replace") if log.is_file() else ""

    # --- targets ----------------------------------------------------------------------

    def jobs(self, script: str = "patchbench.workflow.stages.") -> list[psutil.Process]:
        """Return the run's jobs that run a script."""
        hits = []
        for process in self.project.processes():
            try:
                words = process.cmdline() or [""]
            except psutil.Error:
                continue
            if "python" in words[0] and any(script in word for word in words[1:3]):
                hits.append(process)
        return hits

    def a_job(self, script: str = "patchbench.workflow.stages.") -> psutil.Process:
        """Return one of them, drawn. Raises Missed."""
        self.wait(lambda: bool(self.jobs(script)))
        jobs = self.jobs(script)
        if not jobs:
            raise Missed
        return self.random.choice(sorted(jobs, key=lambda p: p.pid))

    def container(self, *roles: str) -> str:
        """The id of a running container of one of these roles, waited for. Raises Missed."""
        hits: list[str] = []

        def there() -> bool:
            listed = self.bed.engine.client().api.containers(
                filters={"label": "patchbench.kind", "status": "running"}
            )
            hits[:] = [
                c["Id"]
                for c in listed
                if c["Labels"]["patchbench.kind"] in roles and "smoke" not in c["Names"][0]
            ]
            return bool(hits)

        self.wait(there)
        return hits[0]

    def pid_in(self, *roles: str) -> int:
        """The process id of a container's first process. Raises Missed."""
        inspected = self.bed.engine.client().api.inspect_container(self.container(*roles))
        pid = int(inspected["State"]["Pid"])
        if not pid:
            raise Missed
        return pid

    def record(self, pattern: str) -> Path:
        """One of the results' files, drawn; waited for. Raises Missed."""
        hits: list[Path] = []

        def there() -> bool:
            hits[:] = sorted(p for p in self.project.results.glob(pattern) if p.is_file())
            return bool(hits)

        self.wait(there)
        return self.random.choice(hits)

    def signal(self, number: signal.Signals, *, group: bool = False) -> None:
        """Send a signal to the run's Snakemake or to its whole process group."""
        (os.killpg if group else os.kill)(self.pid, number)

    def change(self, **changes: object) -> None:
        """Change the campaign's configuration."""
        cut.change(self.project, **changes)

    def close(self) -> None:
        """End all processes of the case and undo its changes to the machine."""
        if not self.over():
            self.kill()
        for step in reversed(self.undo):
            step()
        for process in self.project.processes():
            process.kill()
        if self.kind.runtime == "docker":
            self.bed.empty()
        self.bed.forget(self.name)
