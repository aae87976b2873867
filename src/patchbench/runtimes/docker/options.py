"""The sandbox of patched code, as the engine's options for a container."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import docker.types

from patchbench.config import Containers, Mount, Sandbox

# Folder inside a container of the files that a process reads and writes for us. Names that patched
# code can see say nothing about who asks.
FILES = "/files"
# It has an address without a network, unlike a container's own name.
HOSTNAME = "localhost"

# The user has no entry in /etc/passwd, so its name is given here; its home is a tmpfs.
ENVIRONMENT = {
    "HOME": "/tmp",
    "USER": "user",
    "LOGNAME": "user",
    "PYTHONHASHSEED": "0",
    "TZ": "UTC",
}


def inside(path: Path) -> str:
    """Return the path of a file of ours inside every container."""
    return f"{FILES}/{path.name}"


def host_config(
    api: Any,
    sandbox: Sandbox,
    machine: Containers,
    *,
    network: str,
    gpus: Sequence[str] = (),
    reads: Sequence[Path] = (),
    pipes: Mapping[Path, Path] | None = None,
    writable: bool = False,
) -> dict[str, Any]:
    """Return the engine's host configuration of one container.

    ``network`` is ``none`` or ``container:ID``; ``gpus`` are names for the engine; ``reads`` are
    files and folders that are mounted read-only; ``pipes`` are named pipes by a path, under its
    name inside; ``writable`` is for rebuilds, whose layer is kept and which get no mounts.
    """
    binds = [_bind(path.resolve(), inside(path)) for path in reads]
    binds += [_bind(pipe, inside(name), read_only=False) for name, pipe in (pipes or {}).items()]
    # A rebuild runs the patch's code as root, with files of the host's own user in sight.
    binds += [_mount(mount) for mount in machine.mounts if not writable]
    tmp = f"rw,exec,nosuid,nodev,size={sandbox.tmp_mb}m,mode=1777"
    config: dict[str, Any] = api.create_host_config(
        network_mode=network,
        read_only=not writable,
        tmpfs={"/tmp": tmp, "/var/tmp": tmp, "/run": "rw,noexec,size=16m"},
        cap_drop=["ALL"],
        security_opt=["no-new-privileges"],
        pids_limit=sandbox.pids,
        mem_limit=f"{sandbox.memory_mb}m",
        memswap_limit=f"{sandbox.memory_mb}m",
        nano_cpus=round(sandbox.cpus * 1e9) if sandbox.cpus else None,
        shm_size=f"{sandbox.shm_mb}m",
        init=True,
        # We read the output ourselves. The engine's own log would fill the engine's disk, and is
        # silently cut if that is full.
        log_config=docker.types.LogConfig(type="none"),
        mounts=binds,
        **_gpu_options(machine, gpus),
    )
    return config


def _gpu_options(machine: Containers, gpus: Sequence[str]) -> dict[str, Any]:
    if not gpus or machine.gpu == "none":
        return {}
    if machine.gpu == "nvidia":
        request = docker.types.DeviceRequest(device_ids=list(gpus), capabilities=[["gpu"]])
        return {"device_requests": [request]}
    # A dict, because nodes without a number would come once per GPU.
    nodes = dict.fromkeys(node.format(index=index) for node in machine.devices for index in gpus)
    return {"devices": [f"{node}:{node}:rwm" for node in nodes]}


def environment(
    machine: Containers, gpus: Sequence[str], root: str, *more: Mapping[str, str]
) -> dict[str, str]:
    """Return a container's environment, without the caller's. GPUs count from 0 inside."""
    # Empty hides all GPUs from a process without any.
    visible = ",".join(str(number) for number in range(len(gpus)))
    own = {**ENVIRONMENT, "PYTHONPATH": root, "CUDA_VISIBLE_DEVICES": visible}
    for part in (machine.env, *more):
        own |= part
    return own


def _bind(source: Path, target: str, *, read_only: bool = True) -> docker.types.Mount:
    return docker.types.Mount(target, str(source), type="bind", read_only=read_only)


def _mount(mount: Mount) -> docker.types.Mount:
    return _bind(Path(mount.source).expanduser().resolve(), mount.target)
