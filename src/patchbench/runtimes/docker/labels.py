"""Labels: how we know what is ours. Only what carries them is ever removed."""

from __future__ import annotations

import functools
import os
import platform
from contextlib import suppress
from pathlib import Path

from patchbench.errors import InfraFault
from patchbench.system.files import digest, write_bytes
from patchbench.system.processes import identity

KIND = "patchbench.kind"  # base, parent, arm; server, client, probe, smoke, rebuild
CAMPAIGN = "patchbench.campaign"  # the results folder: see campaign_id
RESULTS = "patchbench.results"  # that folder, for people
COMMIT, ARM = "patchbench.commit", "patchbench.arm"
RECIPE = "patchbench.recipe"  # digest of what an image is made from
IMAGE = "patchbench.image"  # name that a build is to get: its lock tells whether it still goes on
REBUILT = "patchbench.rebuilt"  # yes, where compiled sources changed and were compiled anew
OWNER = "patchbench.owner"  # identity of the process that started a container
JOB = "patchbench.job"  # the Slurm job that started a container, for a node's epilog
SPACE = "patchbench.space"  # where that process id means something


# Holds the campaign's id and the inode of the folder that it was given to.
ID_FILE = ".campaign"


def campaign_id(results: Path) -> str:
    """Short name of a campaign: two results folders never share images. A folder that is moved or
    renamed keeps its name, and so its images; a copy, which is another folder, gets its own."""
    place = results.resolve()
    if not place.is_dir():
        return digest(str(place), 8)
    inode = str(place.stat().st_ino)
    with suppress(OSError, ValueError):
        name, given_to = (place / ID_FILE).read_text(errors="replace").split()
        if given_to == inode:
            return name
    name = digest(f"{place}:{inode}", 8)
    with suppress(InfraFault):  # a full disk: the folder has the same name until it is moved
        write_bytes(place / ID_FILE, f"{name} {inode}\n".encode())
    return name


@functools.cache
def space() -> str:
    """Boot and process id space of this process: elsewhere our process ids mean nothing."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return f"{platform.node()}:{boot}:{Path('/proc/self/ns/pid').readlink()}"


def boot(value: str) -> str:
    """Host and boot of a space."""
    return value.rpartition(":pid:")[0]


def owner_is_dead(labels: dict[str, str]) -> bool:
    """Whether the process that started a container is certainly gone: it had an id where ours has
    one, or it ran on this host before the last boot."""
    where, owner = labels.get(SPACE, ""), labels.get(OWNER, "")
    if where == space():
        pid = owner.partition(":")[0]
        return not (pid.isdigit() and identity(int(pid)) == owner)
    host = where.partition(":")[0]
    return host == platform.node() and boot(where) != boot(space())


def engine_url(given: str) -> str:
    """Where the engine listens: as given, as DOCKER_HOST says, or where it usually does."""
    return given or os.environ.get("DOCKER_HOST") or "unix:///var/run/docker.sock"
