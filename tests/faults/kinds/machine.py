"""The machine around a run: clock, ports, memory, GPU, terminal, network."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import yaml

from tests.faults.case import Case, Missed
from tests.faults.kind import Kind, Step, unless_survived
from tests.faults.moments import ANY, LAUNCHING, WORKING
from tests.workflow.project import ROOT

FAKES = ROOT / "tests" / "faults" / "fakes"
HOUR = 3600
MEMORY = Path("/sys/fs/cgroup/memory")
NO_RETRY = ("--retries", "0")
# Bytes of memory that are left when all containers run short of it at once.
SHORT_BYTES = 8 << 20


# --- the clock -------------------------------------------------------------------------------


def _clock_from_file(case: Case) -> None:
    file = case.project.folder / "clock"
    file.write_text("0")
    case.project.env["PATCHBENCH_FAKE_CLOCK"] = str(file)
    case.project.env["PYTHONPATH"] += f":{FAKES / 'clock'}"


def _jump(hours: float) -> Step:
    return lambda case: (case.project.folder / "clock").write_text(str(hours * HOUR)) and None


# --- ports, terminal -------------------------------------------------------------------------

OWN_NET = ("unshare", "--net", "sh", "-c", 'ip link set lo up; exec "$@"', "sh")
TAKE_ALL = """
import resource, socket, sys, time
resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
held = []
for port in range(20000, 32000):
    one = socket.socket()
    try:
        one.bind(("127.0.0.1", port))
    except OSError:
        continue
    held.append(one)
print(len(held), flush=True)
time.sleep(600)
"""


def _own_net(case: Case) -> None:
    case.prefix = OWN_NET


def _take_ports(case: Case) -> None:
    squatter = subprocess.Popen(
        ["nsenter", "--net", "--target", str(case.pid), sys.executable, "-c", TAKE_ALL],
        stdout=subprocess.PIPE,
    )
    case.undo.append(lambda: (squatter.kill(), squatter.wait()))
    assert squatter.stdout is not None
    squatter.stdout.readline()


def _to_pipe(case: Case) -> None:
    case.read_end, case.write_end = os.pipe()


def _reader_goes(case: Case) -> None:
    os.close(case.read_end)


# --- memory ----------------------------------------------------------------------------------


def _no_memory_groups() -> str | None:
    there = (MEMORY / "memory.limit_in_bytes").exists()
    return None if there else "no control groups (v1) for memory"


def _starve_job(case: Case) -> None:
    """Put a job into a control group without memory, so that the kernel kills it."""
    job = case.a_job()
    group = MEMORY / f"pb-fault-{job.pid}"
    group.mkdir()
    case.undo.append(group.rmdir)
    (group / "memory.limit_in_bytes").write_text("4096")
    (group / "cgroup.procs").write_text(str(job.pid))
    deadline = time.monotonic() + 30
    while job.is_running() and job.status() != "zombie" and time.monotonic() < deadline:
        time.sleep(0.05)


def _starve_containers(case: Case) -> None:
    """Leave the machine without memory for any container, though none exceeds its own limit."""
    case.container("server", "benchmark")
    limit = MEMORY / case.bed.cgroup / "memory.limit_in_bytes"
    before = limit.read_text()
    case.undo.append(lambda: limit.write_text(before))
    deadline = time.monotonic() + 20
    size = SHORT_BYTES * 8
    while time.monotonic() < deadline and not case.over():
        try:
            limit.write_text(str(size))
            size = max(SHORT_BYTES, size // 2)
        except OSError:  # memory in use can't be squeezed further
            pass
        time.sleep(0.2)


# --- GPU -------------------------------------------------------------------------------------


def _fake_gpu(case: Case) -> None:
    state = case.project.folder / "gpu-state"
    state.write_text("free")
    case.project.env["PATCHBENCH_FAKE_GPU"] = str(state)
    case.project.env["PYTHONPATH"] += f":{FAKES / 'gpu'}"


def _gpu(state: str) -> Step:
    return lambda case: (case.project.folder / "gpu-state").write_text(state) and None


def _hold_slot(case: Case) -> None:
    """Take the GPU slot for another run, once it is free."""
    path = case.project.folder / ".locks" / "gpu0.lock"
    path.parent.mkdir(exist_ok=True)
    fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    case.undo.append(lambda: os.close(fd))
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if case.over():
                raise Missed from None
            time.sleep(0.001)
    raise Missed


# --- network ---------------------------------------------------------------------------------


def _no_registry(case: Case) -> None:
    """Name a base image in a registry that does not answer."""
    path = case.project.folder / "envs/images/tinyserve/recipe.yaml"
    whole = path.read_text()
    recipe = yaml.safe_load(whole)
    recipe["base"] = {"image": "registry.invalid/tinyserve-base:1", "pull": True}
    path.write_text(yaml.safe_dump(recipe))
    case.undo.append(lambda: path.write_text(whole))


def _no_names(case: Case) -> None:
    """Make the subject's repository a clone from a host with an unknown name."""
    path = case.project.folder / "config/subjects/tinyserve.yaml"
    whole = path.read_text()
    subject = yaml.safe_load(whole)
    subject["source"]["prepare"] = [
        *("git", "clone", "-q", "--bare", "https://host.invalid/tinyserve.git", "{repo}")
    ]
    path.write_text(yaml.safe_dump(subject))
    repo = case.project.folder / ".patchbench/repos/tinyserve.git"
    repo.rename(repo.with_name("away.git"))
    case.undo.append(lambda: path.write_text(whole))
    case.undo.append(lambda: shutil.copytree(repo.with_name("away.git"), repo))


def _undo(case: Case) -> None:
    while case.undo:
        case.undo.pop()()


def _there_already(case: Case) -> None:
    """Do nothing: the fault is there from the start."""


P = "process"
SKEW = unless_survived("clock skew")
KINDS = (
    Kind("clock-back", "the clock jumps two hours back, later it is set right (fake)", _jump(-2),
         SKEW, prepare=_clock_from_file, repair=_jump(0), moments=WORKING, runtime=P),
    Kind("ports-taken", "every port of ours is taken", _take_ports, r"infra\.(no_port|port_taken)",
         prepare=_own_net, repair=_undo, moments=("fetch", "build"), runtime=P,
         options=NO_RETRY),
    Kind("stdout-closed", "whoever read the run's output goes away", _reader_goes,
         prepare=_to_pipe, moments=ANY),
    Kind("oom-job", "the kernel kills a job that is short of memory", _starve_job, repair=_undo,
         moments=("fetch", "build", "launch", "launch"), why_not=_no_memory_groups),
    Kind("oom-containers", "the machine has no memory for containers", _starve_containers,
         unless_survived(r"infra\.oom|killed"), repair=_undo, moments=LAUNCHING, options=NO_RETRY,
         why_not=_no_memory_groups),
    Kind("gpu-held", "another process computes on the GPU (fake)", _gpu("held"),
         r"infra\.gpu_dirty", prepare=_fake_gpu, repair=_gpu("free"), moments=("fetch", "build"),
         runtime=P, options=NO_RETRY),
    Kind("gpu-slot-held", "another run holds the GPU slot", _hold_slot, r"infra\.gpu_busy",
         repair=_undo, moments=("fetch", "build"), options=NO_RETRY),
    Kind("telemetry-fails", "NVIDIA's library raises (fake)", _gpu("failing"),
         prepare=_fake_gpu, repair=_gpu("free"), moments=WORKING, runtime=P),
    Kind("telemetry-hangs", "NVIDIA's library never answers (fake)", _gpu("hanging"),
         unless_survived(r"infra\.gpu_dirty.*has not answered"), options=NO_RETRY,
         prepare=_fake_gpu, repair=_gpu("free"), moments=WORKING, runtime=P),
    Kind("registry-down", "no registry to pull the base from", _there_already,
         r"infra\.network|no such host", prepare=_no_registry, repair=_undo, moments=("start",)),
    Kind("dns-down", "the repository's host can't be resolved", _there_already,
         r"infra\.network|[Cc]ould not resolve", prepare=_no_names, repair=_undo,
         moments=("start",), runtime=P),
)  # fmt: skip
