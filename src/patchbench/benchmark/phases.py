"""Phases of a launch: their clocks and ends."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator

import msgspec
import psutil

from patchbench.grading.run_folder import SUSPENDED
from patchbench.records import Phase
from patchbench.runtimes import Child
from patchbench.system import processes
from patchbench.system.processes import Guard

# A client may go on this long after its server died: it may still report failed requests.
GRACE_SECONDS = 3.0
# A dying process takes up to this long until its exit code can be read.
EXIT_SECONDS = 1.0


class PhaseClock:
    """Measures the seconds of one phase from its construction on."""

    def __init__(self, name: str) -> None:
        self.name, self.started = name, time.monotonic()

    def phase(
        self,
        status: str,
        detail: str = "",
        exit_code: int | None = None,
        flags: tuple[str, ...] = (),
    ) -> Phase:
        """Return the record of the phase, ending now."""
        return Phase(
            name=self.name,
            status=status,  # type: ignore[arg-type]
            seconds=round(time.monotonic() - self.started, 3),
            exit_code=exit_code,
            detail=detail,
            flags=flags,
        )


@contextlib.contextmanager
def stopped_after(
    child: Child, seconds: float, on_stop: Callable[[str], None] = lambda _: None
) -> Iterator[None]:
    """Stop a process and its children after the body, however it ends. ``on_stop`` gets the words
    for how the process ended."""
    try:
        yield
    finally:
        on_stop(child.stop(seconds))


def with_flags(phases: list[Phase], flags: tuple[str, ...]) -> list[Phase]:
    """Attach the sandbox's limit flags to the last phase. They are final only after the process
    was stopped."""
    last = msgspec.structs.replace(phases[-1], flags=(*phases[-1].flags, *flags))
    return [*phases[:-1], last]


def has_ended_soon(child: Child) -> bool:
    """Return True if the process has ended, or does so within EXIT_SECONDS."""
    deadline = time.monotonic() + EXIT_SECONDS
    while child.exit_code is None:
        if time.monotonic() > deadline:
            return False
        time.sleep(processes.TICK_SECONDS)
    return True


def await_client(
    client: Child, clock: PhaseClock, seconds: float, guard: Guard, server: Child | None = None
) -> Phase:
    """Wait until a benchmark process ends by itself, exceeds its time, or its server is dead.
    Raises Stopped."""
    died: list[float] = []

    def settled() -> bool:
        if client.exit_code is not None:
            return True
        if server is not None and server.exit_code is not None and not died:
            died.append(time.monotonic())
        return bool(died) and time.monotonic() - died[0] > GRACE_SECONDS

    in_time = processes.wait_until(settled, seconds, guard)
    code = client.exit_code
    if code is not None:
        return clock.phase("ok" if code == 0 else "failed", exit_text(code), code)
    if in_time:
        return clock.phase("failed", "ended because its server had died")
    if is_suspended(client):
        text = f"no end within {seconds:.0f} s: a signal holds the process (SIGSTOP)"
        return clock.phase("timeout", text, flags=(SUSPENDED,))
    return clock.phase("timeout", f"no end within {seconds:.0f} s")


def is_suspended(child: Child) -> bool:
    """Return True if a signal holds a process, as far as it can be seen: a container's can't."""
    popen = getattr(child, "popen", None)
    with contextlib.suppress(psutil.Error):
        return popen is not None and psutil.Process(popen.pid).status() == psutil.STATUS_STOPPED
    return False


def exit_text(code: int) -> str:
    """Return an exit code in words."""
    return f"ended by signal {-code}" if code < 0 else f"exit code {code}"
