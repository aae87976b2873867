"""A private Slurm for tests: real controller, nodes and scheduler, two fake GPUs a node.

All of it lies in one folder, listens on free ports of 127.0.0.1, and is ended by process id. The
fake GPUs are character devices: Slurm counts and assigns them, no program opens them.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import psutil

from tests.workflow.project import ROOT

PROGRAMS = ("slurmctld", "slurmd", "munged", "sbatch", "srun", "squeue", "scancel", "scontrol")
VENV = ROOT / ".venv-slurm"
READY_SECONDS = 120.0
DEVICES = ("/dev/null", "/dev/zero")

CONFIG = """\
ClusterName=patchbench
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
SlurmctldPort={ports[0]}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SchedulerType=sched/backfill
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
ReturnToService=2
MpiDefault=none
MinJobAge=3600
KillWait=20
SlurmdTimeout=10
BatchStartTimeout=20
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
JobRequeue=1
GresTypes=gpu
SlurmdParameters=config_overrides
NodeName={node} NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[1]} CPUs={cpus} \
RealMemory=100000 Gres=gpu:{gpus} State=UNKNOWN
PartitionName=gpu Nodes={node} Default=YES MaxTime=INFINITE State=UP PriorityTier=1
PartitionName=urgent Nodes={node} MaxTime=INFINITE State=UP PriorityTier=9
"""


_prctl = ctypes.CDLL(None).prctl
PR_SET_PDEATHSIG = 1


def _end_with_parent() -> None:
    """End this process with its parent: a killed test session must leave no daemon."""
    _prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)


def why_not() -> str | None:
    """Return the reason why no private Slurm can be started here, or None."""
    if os.geteuid() != 0:
        return "a private Slurm needs root"
    missing = [program for program in PROGRAMS if shutil.which(program) is None]
    if missing:
        return f"no {missing[0]} on the path (apt-get install slurmctld slurmd slurm-client munge)"
    if not (VENV / "bin" / "snakemake").is_file():
        return f"no {VENV.name}/bin/snakemake (make setup-slurm)"
    return None


def free_ports(count: int) -> list[int]:
    """Return free ports of 127.0.0.1."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


class Cluster:
    """One controller and one node with fake GPUs."""

    node = "node1"

    def __init__(self, gpus: int = 2) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="pb-slurm-"))
        self.folder.chmod(0o755)
        self.gpus = gpus
        host = socket.gethostname().partition(".")[0]
        text = CONFIG.format(
            host=host, folder=self.folder, ports=free_ports(2), node=self.node, gpus=gpus,
            cpus=4 * gpus,
        )  # fmt: skip
        (self.folder / "slurm.conf").write_text(text)
        lines = [f"NodeName={self.node} Name=gpu File={device}\n" for device in DEVICES[:gpus]]
        (self.folder / "gres.conf").write_text("".join(lines))
        # A step's environment has lost SLURM_CONF (see docs/slurm.md): srun is told again.
        shim = self.folder / "bin" / "srun"
        shim.parent.mkdir()
        srun = shutil.which("srun")
        shim.write_text(f'#!/bin/sh\nSLURM_CONF={self.folder}/slurm.conf exec {srun} "$@"\n')
        shim.chmod(0o755)
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    @property
    def env(self) -> dict[str, str]:
        """Return the environment with which a program finds this cluster."""
        return {
            "SLURM_CONF": str(self.folder / "slurm.conf"),
            "PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}",
        }

    def start(self) -> Cluster:
        """Start everything and wait until the node can take jobs."""
        key, seed = self.folder / "munge" / "key", self.folder / "munge" / "seed"
        key.parent.mkdir(mode=0o700)
        (self.folder / "state").mkdir()
        key.touch(0o600)
        key.write_bytes(os.urandom(128))
        key.chmod(0o400)
        self._run(
            "munged", "--foreground", "--force", f"--key-file={key}", f"--seed-file={seed}",
            f"--socket={self.folder}/munge.socket", f"--pid-file={self.folder}/munge.pid",
            f"--log-file={self.folder}/munge.log",
        )  # fmt: skip
        self._until(lambda: (self.folder / "munge.socket").exists(), "munged is not up")
        self._run("slurmctld", "-D", "-f", self.env["SLURM_CONF"])
        self.start_node()
        return self

    def start_node(self) -> None:
        """Start the node's daemon and wait until the controller counts on it."""
        self._run("slurmd", "-D", "-f", self.env["SLURM_CONF"], "-N", self.node)
        up = ("idle", "mixed", "allocated")
        self._until(lambda: self.ask("sinfo", "-h", "-o", "%T").strip().split("\n")[0] in up,
                    "the node is not up")  # fmt: skip

    def stop_node(self) -> None:
        """End the node's daemon; jobs that run on it go on."""
        self._end("slurmd")

    def crash_node(self) -> None:
        """Kill the node's daemon and all jobs on it at once, as a loss of power does."""
        log = str(self.folder / f"slurmd-{self.node}.log")
        strays = []
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                # Each job has a parent of its own, which writes to the daemon's log.
                if "slurmstepd" in process.name() and any(
                    file.path == log for file in process.open_files()
                ):
                    strays += [process, *process.children(recursive=True)]
        for process in (psutil.Process(self.processes["slurmd"].pid), *strays):
            with suppress(psutil.Error):
                process.kill()
        self.processes.pop("slurmd").wait()

    def _run(self, name: str, *args: str) -> None:
        log = (self.folder / f"{name}.out").open("ab")
        program = shutil.which(name)
        assert program is not None
        self.processes[name] = subprocess.Popen(
            [program, *args],
            env={**os.environ, **self.env},
            stdout=log,
            stderr=log,
            start_new_session=True,
            preexec_fn=_end_with_parent,
        )

    def _until(self, condition, what: str) -> None:
        deadline = time.monotonic() + READY_SECONDS
        while not condition():
            ended = {n: p.poll() for n, p in self.processes.items() if p.poll() is not None}
            assert not ended and time.monotonic() < deadline, f"{what} ({ended}): {self.tails()}"
            time.sleep(0.1)

    def tails(self) -> str:
        """Return the ends of the logs."""
        logs = sorted({*self.folder.glob("*.log"), *self.folder.glob("*.out")})
        return "\n".join(f"{p.name}: {p.read_text(errors='replace')[-800:]}" for p in logs)

    def ask(self, *command: str) -> str:
        """Return what one of Slurm's programs prints."""
        done = subprocess.run(
            command, env={**os.environ, **self.env}, capture_output=True, text=True, timeout=120
        )
        return done.stdout if done.returncode == 0 else f"rc {done.returncode}: {done.stderr}"

    def queue(self, state: str = "") -> list[str]:
        """Return the ids of jobs that wait or run (or are in a given state)."""
        chosen = ("-t", state) if state else ()
        return self.ask("squeue", "-h", "-o", "%i", *chosen).split()

    def _end(self, name: str) -> None:
        process = self.processes.pop(name, None)
        if process is None:
            return
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def stop(self) -> None:
        """Cancel what runs, and end every daemon."""
        for job in self.queue():
            self.ask("scancel", job)
        deadline = time.monotonic() + 30
        while self.queue() and time.monotonic() < deadline:
            time.sleep(0.2)
        for name in ("slurmd", "slurmctld", "munged"):
            self._end(name)
        shutil.rmtree(self.folder, ignore_errors=True)


if __name__ == "__main__":  # by hand: start one, say how to reach it, end it with Ctrl-C
    cluster = Cluster().start()
    try:
        for name, value in cluster.env.items():
            print(f"export {name}={value}")
        sys.stdout.flush()
        while True:
            time.sleep(1)
    except KeyboardInterrupt:
        pass
    finally:
        cluster.stop()
