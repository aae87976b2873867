"""The connection to a Docker engine, and its errors as sentences about the machine."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import docker
import docker.errors
import requests
import urllib3.exceptions

from patchbench.errors import BadInput, InfraFault
from patchbench.failures import signatures
from patchbench.runtimes.docker.labels import engine_url
from patchbench.system import disk

# A request that the engine should answer at once; waits and builds have limits of their own.
SECONDS = 60
# What the engine passes on of a registry's failures.
OF_REGISTRIES = {
    "infra.network": "see that the engine reaches the registry",
    "infra.rate_limit": "wait, or log in to the registry",
    "infra.auth": "log in to the registry",
}
NO_ENGINE = (requests.RequestException, urllib3.exceptions.HTTPError, OSError)


class Engine:
    """A Docker engine, asked for the first time when something is needed of it."""

    def __init__(self, url: str = "") -> None:
        self.url = engine_url(url)

    @functools.cached_property
    def client(self) -> Any:
        """The connection. Raises InfraFault if nobody answers, BadInput for Podman."""
        with self.faults("connect", numbers=False):
            client = docker.DockerClient(base_url=self.url, timeout=SECONDS)
            about = client.api.version()
        refuse_podman(about)
        return client

    @property
    def api(self) -> Any:
        """The engine's plain interface."""
        return self.client.api

    @functools.cached_property
    def root(self) -> Path | None:
        """Where the engine keeps its data. None for a remote engine's folder, or one that we may
        not look at: it can't be measured from here."""
        with self.faults("ask for the data root", numbers=False):
            root = Path(self.api.info()["DockerRootDir"])
        return root if self.url.startswith("unix://") and root.is_dir() else None

    @contextmanager
    def faults(self, what: str, *, numbers: bool = True) -> Iterator[None]:
        """Turn what the engine's failures throw into InfraFault; a 404, 409 or a refused request
        (4xx) is an answer and passes through."""
        try:
            yield
        except docker.errors.APIError as error:
            if error.is_client_error() and not _disk_full(error):
                raise
            raise self.fault(what, error, numbers=numbers) from error
        except (docker.errors.DockerException, *NO_ENGINE) as error:
            raise self.fault(what, error, numbers=numbers) from error

    def fault(self, what: str, error: BaseException | str, *, numbers: bool = True) -> InfraFault:
        """The sentence for a failure of the engine, with the numbers that explain it."""
        said = " ".join(str(error).split())[-300:]
        cause = signatures.machine_fault([str(error)], "both")
        # Known already unless the engine never answered; asking a dead one would only fail again.
        root = self.__dict__.get("root") if numbers else None
        room = f" | {disk.measure(root).words}" if root is not None else ""
        if cause == "infra.disk_full":
            step = "free space, then run the same command again"
        elif cause in OF_REGISTRIES:
            step = f"{OF_REGISTRIES[cause]}, then run the same command again"
        else:
            cause = "infra.engine"
            step = "see that the engine runs (docker info), then run the same command again"
        return InfraFault(
            f"{cause} | {what} | engine {self.url}: {said}{room} | "
            f"nothing was charged to an agent | next: {step}"
        )


def _disk_full(error: BaseException) -> bool:
    return signatures.machine_fault([str(error)], "both") == "infra.disk_full"


def refuse_podman(about: dict[str, Any]) -> None:
    """Raise BadInput for Podman's imitation of the interface: it starts containers without the GPU
    that was asked for and never reports a kill for memory, both without a word."""
    names = [str(part.get("Name", "")) for part in about.get("Components") or ()]
    if any("podman" in name.lower() for name in names):
        raise BadInput(
            f"containers.engine: this is Podman ({', '.join(names)}), which ignores GPU requests "
            "and hides out-of-memory kills; give a Docker engine (DOCKER_HOST), or use "
            "runtime: process for trusted patches"
        )
