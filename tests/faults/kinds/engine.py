"""The engine and what runs in it: crashes, stalls, images and containers taken away."""

from __future__ import annotations

import json
import os
import re
import signal
import time
from pathlib import Path

import docker.errors
import psutil

from tests.faults.case import Case, Missed
from tests.faults.kind import Kind, Step, unless_survived
from tests.faults.moments import AMID, LAUNCHING, WORKING

SERVER, CLIENT = ("server",), ("client", "benchmark")
STALL_SECONDS = 6.0
ENGINE = r"infra\.engine"
KILLED = r"killed|SIGKILL|signal 9"


def _engine_up(case: Case) -> None:
    _ = case.bed.engine


def _kill_dockerd(case: Case) -> None:
    case.bed.engine.kill()


def _kill_dockerd_in_a_step(case: Case) -> None:
    # A build's own containers have no name of ours; they live for a fraction of a second.
    api = case.bed.engine.client().api
    case.wait(lambda: any(c["Image"].startswith("sha256:") for c in api.containers(all=True)))
    case.bed.engine.kill()


def _pid_of(case: Case, name: str) -> int:
    engine_folder = str(case.bed.engine.folder)
    for process in psutil.process_iter():
        try:
            if process.name().startswith(name) and engine_folder in " ".join(process.cmdline()):
                return process.pid
        except psutil.Error:
            continue
    raise Missed


def _kill_containerd(case: Case) -> None:
    # dockerd starts it, and starts it anew.
    os.kill(_pid_of(case, "containerd"), signal.SIGKILL)


def _engine_works(case: Case) -> None:
    """Wait until containers can be started again; if that takes long, start the engine anew, as a
    person would."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        client = case.bed.engine.client()
        try:
            base = _images(case, bases=True)
            if base:
                client.containers.run(base[0], ["/bin/true"], remove=True, network_mode="none")
            return
        except docker.errors.DockerException:
            case.bed.empty()
            time.sleep(1)
    case.bed.engine.kill()
    _engine_up(case)


def _stall(case: Case) -> None:
    pid = int((case.bed.engine.folder / "docker.pid").read_text())
    case.undo.append(lambda: os.kill(pid, signal.SIGCONT))
    for _ in range(2):
        os.kill(pid, signal.SIGSTOP)
        time.sleep(STALL_SECONDS)
        os.kill(pid, signal.SIGCONT)
        time.sleep(1)


def _stopped_before(case: Case) -> None:
    """Do nothing: the engine is down from the start."""
    case.bed.engine.kill()


def _kill_in(*roles: str) -> Step:
    def strike(case: Case) -> None:
        pid = case.pid_in(*roles)
        begun = [
            folder
            for folder in case.project.results.glob("runs/*/block-*/*")
            if folder.is_dir() and not (folder / "run.json").exists()
        ]
        os.kill(pid, signal.SIGKILL)

        def over() -> bool:
            recorded = all((folder / "run.json").exists() for folder in begun)
            return recorded or bool(re.search(KILLED, case.output)) or case.over()

        case.wait(over)
        # Once every request is answered it changes nothing, and no message tells of it.
        if not re.search(KILLED, case.output) and any(
            _all_answered(path) for folder in begun for path in folder.glob("result*.json")
        ):
            raise Missed

    return strike


def _all_answered(result: Path) -> bool:
    """Return True if every request was answered, by the client's own file."""
    try:
        reply = json.loads(result.read_bytes())
    except (OSError, ValueError):
        return False
    return not reply.get("failed") and reply.get("completed") == reply.get("num_prompts")


def _remove_container(case: Case) -> None:
    case.bed.engine.client().api.remove_container(case.container("server", "benchmark"), force=True)


def _kill_shim(case: Case) -> None:
    container = case.container("server", "benchmark")
    for process in psutil.process_iter():
        try:
            if "containerd-shim" in process.name() and container in process.cmdline():
                process.kill()
                return
        except psutil.Error:
            continue
    raise Missed


def _images(case: Case, *, bases: bool) -> list[str]:
    listed = case.bed.engine.client().images.list(name=None)
    return [tag for i in listed for tag in i.tags if ("-base:" in tag) == bases]


def _remove_images(case: Case) -> None:
    case.wait(lambda: bool(_images(case, bases=False)))
    for name in _images(case, bases=False):
        try:
            case.bed.engine.client().images.remove(name, force=True)
        except docker.errors.APIError:
            continue  # a container runs from it, or it has gone by itself


def _remove_base(case: Case) -> None:
    for name in _images(case, bases=True):
        try:
            case.bed.engine.client().images.remove(name, force=True)
        except docker.errors.APIError:
            continue


KINDS = (
    Kind(
        "sigkill-dockerd",
        "SIGKILL to dockerd",
        _kill_dockerd,
        ENGINE,
        repair=_engine_up,
        moments=WORKING,
    ),
    Kind(
        "sigkill-dockerd-step",
        "SIGKILL to dockerd while a container of a build is there",
        _kill_dockerd_in_a_step,
        ENGINE,
        repair=_engine_up,
        moments=("fetch",),
    ),
    Kind(
        "sigkill-containerd",
        "SIGKILL to containerd",
        _kill_containerd,
        unless_survived(ENGINE),
        repair=_engine_works,
        moments=WORKING,
    ),
    Kind(
        "sigkill-shim",
        "SIGKILL to a container's shim",
        _kill_shim,
        unless_survived(r"infra\.engine|killed|signal 9"),
        moments=LAUNCHING,
        options=("--retries", "0"),
    ),
    Kind(
        "engine-down",
        "no engine when the run starts",
        lambda case: None,
        ENGINE,
        prepare=_stopped_before,
        repair=_engine_up,
        moments=("start",),
    ),
    Kind(
        "engine-stalls",
        "dockerd stopped for 6 s, twice",
        _stall,
        unless_survived(ENGINE),
        moments=WORKING,
    ),
    Kind("sigkill-server", "SIGKILL to a server", _kill_in(*SERVER), KILLED, moments=LAUNCHING),
    Kind(
        "sigkill-client",
        "SIGKILL to a benchmark client",
        _kill_in(*CLIENT),
        KILLED,
        moments=LAUNCHING,
    ),
    Kind(
        "container-removed",
        "a running container is removed by hand",
        _remove_container,
        r"removed from outside",
        moments=LAUNCHING,
    ),
    Kind("images-removed", "all images of arms are removed by hand", _remove_images, moments=AMID),
    Kind(
        "base-removed", "the base image is removed by hand", _remove_base, moments=("build", *AMID)
    ),
)
