"""Running the workflow in a copy of the project, and reading what it wrote."""

from __future__ import annotations

import os
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


class Project:
    """A copy of the project and the commands that a person runs in it."""

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

    def snakemake(self, *args: str, timeout: float = 120) -> subprocess.CompletedProcess[str]:
        """Run snakemake to its end."""
        return subprocess.run(
            [BIN / "snakemake", *args],
            cwd=self.folder,
            env=self.env,
            capture_output=True,
            text=True,
            timeout=timeout,
        )

    def python(self, *args: str) -> str:
        """Run a script of the project; what it printed."""
        done = subprocess.run(
            [sys.executable, *args],
            cwd=self.folder,
            env=self.env,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def plans_nothing(self, *args: str) -> bool:
        """Whether a dry run finds nothing left to do."""
        done = self.snakemake("-n", *args)
        assert done.returncode == 0, done.stderr
        return "Nothing to be done" in done.stdout + done.stderr

    def start(self, *args: str) -> subprocess.Popen[bytes]:
        """Start snakemake in a process group of its own."""
        log = (self.folder / "started.log").open("ab")
        return subprocess.Popen(
            [BIN / "snakemake", *args],
            cwd=self.folder,
            env=self.env,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )

    def small_config(self, **changes: Any) -> list[str]:
        """Write a campaign of one task with two agents; returns the options that name it."""
        config = yaml.safe_load((self.folder / "config" / "config.yaml").read_text())
        tasks = yaml.safe_load((self.folder / "examples/tinyserve/tasks.yaml").read_text())
        chosen = [t for t in tasks["tasks"] if t["commit"].startswith("91c02e4d")]
        (self.folder / "tasks.yaml").write_text(yaml.safe_dump({"tasks": chosen}))
        config["tasks"] = ["tasks.yaml"]
        config["agents"].pop("corso")
        config["protocol"]["blocks"] = 2
        for key, value in changes.items():
            config[key] = value
        (self.folder / "small.yaml").write_text(yaml.safe_dump(config))
        return ["--cores", "4", "--resources", "gpu=1", "--configfile", "small.yaml"]

    def table(self, name: str) -> list[dict[str, Any]]:
        """Rows of one of the campaign's tables."""
        return pq.read_table(self.results / "tables" / f"{name}.parquet").to_pylist()

    def compared(self, arm: str) -> dict[tuple[str, str], tuple[int, float]]:
        """Pairs and ratio of an arm by reference and metric."""
        return {
            (row["reference"], row["metric"]): (row["pairs"], row["ratio"])
            for row in self.table("comparisons")
            if row["arm"] == arm
        }

    def journal(self) -> list[dict[str, Any]]:
        """All whole events of all journals."""
        events = []
        for file in sorted((self.results / "journal").glob("*/*.jsonl")):
            for line in file.read_bytes().splitlines():
                try:
                    events.append(msgspec.json.decode(line))
                except msgspec.DecodeError:
                    continue
        return events

    def finished(self) -> Counter[tuple[str, int, str, str]]:
        """How often each launch finished, by commit, block, arm and digest."""
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
        spans = [(min(found), max(found)) for found in times.values()]
        whole = max(end for _, end in spans) - min(start for start, _ in spans)
        return sum((end - start).total_seconds() for start, end in spans) / whole.total_seconds()

    def owns(self, process: psutil.Process) -> bool:
        """Whether a living process was started by a run in this copy."""
        try:
            if process.pid == os.getpid() or process.status() == psutil.STATUS_ZOMBIE:
                return False
            return process.environ().get("PATCHBENCH_LOCKS") == self.env["PATCHBENCH_LOCKS"] or str(
                self.folder
            ) in process.environ().get("PYTHONPATH", "")
        except psutil.Error:
            return False

    def processes(self) -> list[psutil.Process]:
        """All living processes of runs in this copy."""
        return [p for p in psutil.process_iter() if self.owns(p)]


def wait_for(condition: Callable[[], bool], seconds: float) -> None:
    """Wait until a condition holds; fails the test if it doesn't in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


def kill_group(process: subprocess.Popen[bytes]) -> None:
    """SIGKILL a whole process group, as `kill -9 -PGID` does."""
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
