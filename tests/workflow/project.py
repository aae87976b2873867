"""Runs the workflow in a copy of the project and reads its results."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import psutil
import pyarrow.parquet as pq
import yaml

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
# Seconds after which a test gives up. No run takes so long, also not on a busy machine.
LONG = 3600.0


class Project:
    """A copy of the project, with the commands that a person runs in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.results = folder / "results"
        self.env = {
            **os.environ,
            "PYTHONPATH": str(folder / "src"),
            "PATCHBENCH_LOCKS": str(folder / ".locks"),
            # Patched code must see neither this nor anything else of the caller's environment.
            "SECRET_TOKEN": "not for patches",
        }

    @property
    def program(self) -> Path:
        """The snakemake that runs here."""
        return BIN / "snakemake"

    def snakemake(self, *args: str, timeout: float = LONG) -> subprocess.CompletedProcess[str]:
        """Run snakemake to its end."""
        return subprocess.run(
            [self.program, *args],
            cwd=self.folder,
            env=self.env,
            capture_output=True,
            text=True,
            timeout=timeout,
        )

    def python(self, *args: str) -> str:
        """Run a script of the project and return what it printed."""
        done = subprocess.run(
            [sys.executable, *args],
            cwd=self.folder,
            env=self.env,
            capture_output=True,
            text=True,
            timeout=LONG,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def plans_nothing(self, *args: str) -> bool:
        """Return True if a dry run finds nothing left to do."""
        done = self.snakemake("-n", *args)
        assert done.returncode == 0, done.stderr
        return "Nothing to be done" in done.stdout + done.stderr

    def start(self, *args: str) -> subprocess.Popen[bytes]:
        """Start snakemake in a process group of its own."""
        log = (self.folder / "started.log").open("ab")
        return subprocess.Popen(
            [self.program, *args],
            cwd=self.folder,
            env=self.env,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )

    def small_config(
        self, *, task: str = "6a8f6d89", blocks: int = 2, windows: int = 1, **changes: Any
    ) -> list[str]:
        """Write a campaign of one task and two agents; returns Snakemake's options.

        The first agent's patch of the usual task works, the second's cannot be imported.
        ``changes`` are keys of the configuration.
        """
        config = yaml.safe_load((self.folder / "config" / "config.yaml").read_text())
        tasks = yaml.safe_load((self.folder / "examples/tinyserve/tasks.yaml").read_text())
        chosen = [t for t in tasks["tasks"] if t["commit"].startswith(task)]
        (self.folder / "tasks.yaml").write_text(yaml.safe_dump({"tasks": chosen}))
        config["tasks"] = ["tasks.yaml"]
        config["agents"].pop("corso")
        config["protocol"] |= {"blocks": blocks, "windows": windows}
        config |= changes
        (self.folder / "small.yaml").write_text(yaml.safe_dump(config))
        return ["--cores", "4", "--resources", "gpu=1", "--configfile", "small.yaml"]

    def table(self, name: str) -> list[dict[str, Any]]:
        """Return the rows of one of the campaign's tables."""
        return pq.read_table(self.results / "tables" / f"{name}.parquet").to_pylist()

    def forget_late_blocks(self) -> int:
        """Remove the blocks with launches that the judge was too slow to measure, which a busy
        moment does in containers (no real-time priority there). Returns how many: the campaign's
        command then measures them again."""
        late = {
            (row["commit"], row["block"])
            for row in self.table("runs")
            if row["cause"] == "harness.judge_saturated"
        }
        for commit, block in late:
            shutil.rmtree(self.results / "runs" / commit / f"block-{block}")
        return len(late)

    def compared(self, arm: str) -> dict[tuple[str, str], tuple[int, float]]:
        """Return pairs and ratio of an arm, by reference and metric."""
        return {
            (row["reference"], row["metric"]): (row["pairs"], row["ratio"])
            for row in self.table("comparisons")
            if row["arm"] == arm
        }

    def journal(self) -> list[dict[str, Any]]:
        """Return all whole events of all journals."""
        events = []
        for file in sorted((self.results / "journal").glob("*/block-*.jsonl")):
            for line in file.read_bytes().splitlines():
                try:
                    events.append(msgspec.json.decode(line))
                except msgspec.DecodeError:
                    continue
        return events

    def finished(self) -> Counter[tuple[str, int, str, str]]:
        """Count how often each launch finished, by commit, block, arm and digest."""
        return Counter(
            (e["commit"], e["block"], e["arm"], e["digest"])
            for e in self.journal()
            if e["event"] == "run_finished"
        )

    def busy_share(self) -> float:
        """Return how many blocks ran at a time on average, from the first's start to the last's
        end. With one GPU that is the share of the time in which it was held."""
        times: dict[tuple[str, int], list[datetime]] = {}
        for event in self.journal():
            at = datetime.fromisoformat(event["at"])
            times.setdefault((event["commit"], event["block"]), []).append(at)
        spans = [(min(moments), max(moments)) for moments in times.values()]
        whole = max(end for _, end in spans) - min(start for start, _ in spans)
        return sum((end - start).total_seconds() for start, end in spans) / whole.total_seconds()

    def owns(self, process: psutil.Process) -> bool:
        """Return True for a living process that a run in this copy started."""
        try:
            if process.pid == os.getpid() or process.status() == psutil.STATUS_ZOMBIE:
                return False
            theirs, locks = process.environ(), self.env.get("PATCHBENCH_LOCKS", "none")
            same_locks = theirs.get("PATCHBENCH_LOCKS") == locks
            return same_locks or str(self.folder) in theirs.get("PYTHONPATH", "")
        except psutil.Error:
            return False

    def processes(self) -> list[psutil.Process]:
        """Return all living processes of runs in this copy."""
        return [p for p in psutil.process_iter() if self.owns(p)]


def wait_for(condition: Callable[[], bool], seconds: float = LONG) -> None:
    """Wait until a condition holds. Raises AssertionError after so many seconds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"nothing within {seconds:.0f} s"
        time.sleep(0.05)


def kill_group(process: subprocess.Popen[bytes]) -> None:
    """Kill a whole process group with SIGKILL."""
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
