"""The connection to a Docker engine, and its errors as faults of the machine."""

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

from patchbench.errors import BadInput, InfraFault, infra_fault
from patchbench.failures import signatures
from patchbench.runtimes.docker import layers
from patchbench.runtimes.docker.labels import engine_url
from patchbench.system import disk

# Time limit of a short request; waits, builds and pulls have limits of their own.
SECONDS = 60
# Causes that the engine's message may show (it passes on those of registries), and their remedy.
STEPS = {
    "infra.engine": "see that the engine runs (docker info)",
    "infra.disk_full": "free space",
    "infra.network": "see that the engine reaches the registry",
    "infra.rate_limit": "wait, or log in to the registry",
    "infra.auth": "log in to the registry",
}
NO_ENGINE = (requests.RequestException, urllib3.exceptions.HTTPError, OSError)


class Engine:
    """A Docker engine. The connection is made when it is first needed."""

    def __init__(self, url: str = "") -> None:
        self.url = engine_url(url)

    @functools.cached_property
    def client(self) -> Any:
        """The connection. Raises InfraFault if there is no answer, BadInput for Podman."""
        with self.faults("connect", numbers=False):
            client = docker.DockerClient(base_url=self.url, timeout=SECONDS)
            about = client.api.version()
        refuse_podman(about)
        return client

    @property
    def api(self) -> Any:
        """The engine's low-level interface."""
        return self.client.api

    @functools.cached_property
    def root(self) -> Path | None:
        """The folder with the engine's layers; None if it can't be measured from here (a remote
        engine, or no permission)."""
        with self.faults("ask for the data root", numbers=False):
            root = layers.folder(self.api.info())
        return root if self.url.startswith("unix://") and root.is_dir() else None

    @contextmanager
    def faults(self, what: str, *, numbers: bool = True) -> Iterator[None]:
        """Turn errors of the engine into InfraFault. Refused requests (4xx) are answers and pass
        through."""
        try:
            yield
        except docker.errors.APIError as error:
            if error.is_client_error() and not _disk_full(error):
                raise
            raise self.fault(what, error, numbers=numbers) from error
        except (docker.errors.DockerException, *NO_ENGINE) as error:
            raise self.fault(what, error, numbers=numbers) from error

    def fault(self, what: str, error: BaseException | str, *, numbers: bool = True) -> InfraFault:
        """Return the fault for an error of the engine, with the figures of its disk."""
        text = " ".join(str(error).split())[-300:]
        cause = signatures.machine_fault([str(error)], "any")
        # Only if it is known already: a request to a dead engine would fail again.
        root = self.__dict__.get("root") if numbers else None
        figures = [disk.measure(root).words] if root is not None else []
        if cause not in STEPS:
            cause = "infra.engine"
        facts = [what, f"engine {self.url}: {text}", *figures]
        return infra_fault(cause, *facts, step=STEPS[cause])


def _disk_full(error: BaseException) -> bool:
    return signatures.machine_fault([str(error)], "any") == "infra.disk_full"


def refuse_podman(about: dict[str, Any]) -> None:
    """Raise BadInput for Podman's version of the interface: it starts containers without the
    requested GPU and never reports an out-of-memory kill, both silently."""
    parts = about.get("Components") or ()
    names = [f"{part.get('Name', '')} {part.get('Version', '')}".strip() for part in parts]
    if any("podman" in name.lower() for name in names):
        raise BadInput(
            f"containers.engine: this is Podman ({', '.join(names)}), which ignores GPU requests "
            "and hides out-of-memory kills; give a Docker engine (DOCKER_HOST), or use "
            "runtime: process for trusted patches"
        )
