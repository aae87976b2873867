"""What the first process of a run hears of its jobs on other machines: their progress, their
faults, and their wish that it starts nothing more. All of it by way of the results folder.
"""

from __future__ import annotations

import atexit
import os
import signal
import threading
import time
from pathlib import Path

import msgspec

from patchbench.ledger import display, machine_faults
from patchbench.ledger.display import Display
from patchbench.ledger.machine_faults import FaultEvent
from patchbench.ledger.progress import FOLLOWED, LOG, without_title

LOOK_SECONDS = 2.0


class Follower:
    """Lines that are appended to a file from now on."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.place = path.stat().st_size if path.is_file() else 0

    def new(self) -> list[bytes]:
        """Whole lines since the last time."""
        try:
            with self.path.open("rb") as file:
                file.seek(self.place)
                data = file.read()
        except OSError:  # not there yet, or a file server that is away for a moment
            return []
        whole = data[: data.rfind(b"\n") + 1]
        self.place += len(whole)
        return whole.splitlines()


def attend(
    results: Path, seconds: float = LOOK_SECONDS, to: Display | None = None
) -> threading.Thread:
    """Listen in this process, the run's first, until it ends, another run begins, or a job wishes
    that it ends: then it gets the signal that a job on this machine would have sent. Lines are
    printed by ``to``, which is closed at the end of the process."""
    say = to.line if to else display.print_line
    run = machine_faults.current(results)
    assert run is not None, "a run begins before it listens"
    os.environ[FOLLOWED] = "yes"  # its jobs needn't say it twice
    lines, events = Follower(results / LOG), Follower(results / machine_faults.LOG)
    one_at_a_time = threading.Lock()

    def show() -> None:
        with one_at_a_time:
            for line in lines.new():
                say(without_title(line.decode(errors="replace")))
            for line in events.new():
                if text := _of_a_job(line):
                    say(f"patchbench: {text}")

    def listen() -> None:
        while (now := machine_faults.current(results)) is None or now.id == run.id:
            show()
            if to:
                to.look()
            wish = machine_faults.wish(results)
            if wish is not None and wish.run == run.id and wish.by != machine_faults.SCHEDULER:
                say(f"patchbench: {wish.by}: {wish.why}")
                os.kill(os.getpid(), signal.SIGTERM)
                return
            time.sleep(seconds)

    thread = threading.Thread(target=listen, daemon=True)
    thread.start()
    if to:
        atexit.register(to.close)
    atexit.register(show)  # what came since the last look; handlers run in reverse order
    return thread


def _of_a_job(line: bytes) -> str:
    """A fault that only a job's own log has shown so far; nothing for others."""
    try:
        event = msgspec.json.decode(line, type=FaultEvent)
    except msgspec.MsgspecError:
        return ""
    return event.text if event.job else ""
