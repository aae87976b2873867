"""Containers, from start to certain end."""

from __future__ import annotations

import signal
import threading
import time
from pathlib import Path
from typing import Any

import docker.errors

from patchbench.errors import InfraFault
from patchbench.runtimes.docker import memory
from patchbench.runtimes.docker.engine import NO_ENGINE, Engine
from patchbench.runtimes.docker.outputs import Pipes, Streams, frames
from patchbench.system import kernel_log
from patchbench.system.processes import KILL_SECONDS, TICK_SECONDS

# The role of a container that compiles a patch: its layer is kept, and its tree is writable.
REBUILD = "rebuild"

# An init process reports a child that a signal ended by an exit code of 128 + the signal.
SIGNAL_BASE = 128
SIGNALS = {SIGNAL_BASE + number: -number for number in signal.Signals}


class Container:
    """A started container: ``runtimes.base.Child`` for the Docker runtime."""

    def __init__(
        self, engine: Engine, options: dict[str, Any], stdout: Path, stderr: Path, pipes: Pipes
    ) -> None:
        self.engine, self.pipes = engine, pipes
        self.stdout, self.stderr = stdout, stderr
        self.streams: Streams | None = None
        self._code: int | None = None
        self._fault: BaseException | None = None
        self._flags: tuple[str, ...] = ()
        self.id = ""
        try:
            with engine.faults("start a container"):
                self.id = engine.api.create_container_from_config(
                    options["config"], options["name"]
                )["Id"]
                self.streams = Streams(frames(engine.api, self.id), stdout, stderr)
                engine.api.start(self.id)
        except BaseException:
            self._remove()
            pipes.close()
            raise
        self.waiter = threading.Thread(target=self._wait, daemon=True)
        self.waiter.start()

    def _wait(self) -> None:
        try:
            code = int(self.engine.api.wait(self.id)["StatusCode"])
            state = self.engine.api.inspect_container(self.id)["State"]
            if state.get("OOMKilled"):
                short = memory.of_machine(self.id, kernel_log.records())
                self._flags = (*self._flags, "machine_oom" if short else "oom")
            self._code = SIGNALS.get(code, code)
        except docker.errors.NotFound:
            self._fault = InfraFault("the container was removed from outside")
        except (docker.errors.DockerException, *NO_ENGINE) as error:
            self._fault = error

    @property
    def exit_code(self) -> int | None:
        """None while it runs; negative is the number of the signal that ended it. Raises InfraFault
        if the engine failed or the output can't be written."""
        if self._fault is not None:
            raise self.engine.fault("wait for a container", self._fault)
        if self.streams is not None and self.streams.failed is not None:
            raise self.streams.failed
        return self._code

    @property
    def flags(self) -> tuple[str, ...]:
        """The limits it ran into: its sandbox's (oom, pids) or the machine's (machine_oom)."""
        return self._flags

    def stop(self, seconds: float) -> str:
        """End the container: SIGTERM, after ``seconds`` SIGKILL; then remove it and check that it
        is gone. Return in words how it ended. Raises InfraFault if it can't be removed."""
        how = "had ended"
        try:
            with self.engine.faults("stop a container"):
                if self._code is None and self._fault is None:
                    how = self._stop(seconds)
        finally:
            self._remove()
            if self.streams is not None:
                self.streams.join(KILL_SECONDS)
            self.pipes.close()
        if self.streams is not None and self.streams.failed is not None:
            raise self.streams.failed
        return how

    def _stop(self, seconds: float) -> str:
        if self._at_pids_limit():
            self._flags = (*self._flags, "pids")
        began = time.monotonic()
        try:
            self.engine.api.stop(self.id, timeout=max(1, round(seconds)))
        except docker.errors.NotFound:
            return "was removed from outside"
        self.waiter.join(KILL_SECONDS)
        if time.monotonic() - began >= max(1, round(seconds)):
            return f"killed, did not end within {seconds:.0f} s of SIGTERM"
        return "ended on SIGTERM"

    @property
    def cpu_seconds(self) -> float | None:
        """Processor seconds of it and its descendants so far; None once it has ended."""
        nanoseconds = self._stats().get("cpu_stats", {}).get("cpu_usage", {}).get("total_usage")
        return nanoseconds / 1e9 if nanoseconds else None

    def _stats(self) -> dict[str, Any]:
        try:
            stats: dict[str, Any] = self.engine.api.stats(self.id, stream=False, one_shot=True)
        except docker.errors.APIError:
            return {}
        return stats

    def _at_pids_limit(self) -> bool:
        """Return True if it has as many processes and threads as its limit allows."""
        pids = self._stats().get("pids_stats", {})
        return bool(pids.get("limit")) and pids.get("current", 0) >= pids["limit"]

    def _remove(self) -> None:
        if not self.id:
            return
        deadline = time.monotonic() + KILL_SECONDS
        with self.engine.faults("remove a container"):
            while True:
                try:
                    self.engine.api.remove_container(self.id, force=True, v=True)
                    self.engine.api.inspect_container(self.id)
                except docker.errors.NotFound:
                    return
                except docker.errors.APIError as error:
                    if not error.is_client_error():  # 409: it is being removed
                        raise
                if time.monotonic() > deadline:
                    raise self.engine.fault(
                        "remove a container", f"{self.id[:12]} is still there after 10 s"
                    )
                time.sleep(TICK_SECONDS)
