"""Labels of our containers and images. Only what carries them is ever removed."""

from __future__ import annotations

import os
import platform
from contextlib import suppress
from pathlib import Path

from patchbench.errors import InfraFault
from patchbench.system.files import digest, write_bytes
from patchbench.system.pid_space import here, is_alive

KIND = "patchbench.kind"  # base, parent, arm; a container's is its role
CAMPAIGN = "patchbench.campaign"  # the results folder: see campaign_id
RESULTS = "patchbench.results"  # that folder, for people
COMMIT, ARM = "patchbench.commit", "patchbench.arm"
RECIPE = "patchbench.recipe"  # digest of what an image is made from
IMAGE = "patchbench.image"  # name of the image: its lock is held while it is built
REBUILT = "patchbench.rebuilt"  # yes, if changed compiled sources were compiled anew
OWNER = "patchbench.owner"  # identity of the process that started a container
JOB = "patchbench.job"  # the Slurm job that started a container, for a node's epilog
SPACE = "patchbench.space"  # in which the owner's process id is valid


# Holds the campaign's id and the inode of the folder that it was given to.
ID_FILE = ".campaign"


def campaign_id(results: Path) -> str:
    """Return a campaign's short name, one per results folder: two folders never share images. A
    folder keeps its name when it is moved; a copy gets its own."""
    place = results.resolve()
    if not place.is_dir():
        return digest(str(place), 8)
    inode = str(place.stat().st_ino)
    with suppress(OSError, ValueError):
        name, given_to = (place / ID_FILE).read_text(errors="replace").split()
        if given_to == inode:
            return name
    name = digest(f"{place}:{inode}", 8)
    with suppress(InfraFault):  # on a full disk the name holds until the folder is moved
        write_bytes(place / ID_FILE, f"{name} {inode}\n".encode())
    return name


def space() -> str:
    """Return the host, boot and process id namespace in which our process ids are valid."""
    return here().label


def boot(value: str) -> str:
    """Return the host and boot of a space."""
    return value.rpartition(":pid:")[0]


def owner_is_dead(labels: dict[str, str]) -> bool:
    """Return True if the process that started a container is certainly gone: it is missing from our
    own process id namespace, or it ran on this host before the last boot."""
    where, owner = labels.get(SPACE, ""), labels.get(OWNER, "")
    if where == space():
        return not is_alive(owner)
    host = where.partition(":")[0]
    return host == platform.node() and boot(where) != boot(space())


def engine_url(given: str) -> str:
    """Return the engine's URL: as given, else DOCKER_HOST, else the usual socket."""
    return given or os.environ.get("DOCKER_HOST") or "unix:///var/run/docker.sock"
