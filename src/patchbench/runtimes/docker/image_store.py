"""Our images in an engine: list, facts, removal."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import docker.errors

from patchbench.errors import infra_fault
from patchbench.runtimes.base import ImageFacts
from patchbench.runtimes.docker import labels
from patchbench.runtimes.docker.engine import Engine
from patchbench.system import slurm
from patchbench.system.files import digest
from patchbench.system.gpu_slots import lock_folder
from patchbench.system.locks import is_held

PARENT, ARM, BASE = "parent", "arm", "base"
REPOSITORY, NO_NAME = "patchbench/", "<none>:<none>"


class Image(NamedTuple):
    """One of our images; ``created`` in seconds since the epoch, ``size`` in bytes."""

    id: str
    names: tuple[str, ...]
    labels: dict[str, str]
    created: float
    size: int

    @property
    def own_names(self) -> tuple[str, ...]:
        """The names that patchbench gave it."""
        return tuple(name for name in self.names if name.startswith(REPOSITORY))

    @property
    def commit(self) -> str:
        """The commit that it was made for; empty for a base."""
        return self.labels.get(labels.COMMIT, "")


class Store:
    """The images of one campaign in one engine."""

    def __init__(self, engine: Engine, results: Path) -> None:
        self.engine, self.results = engine, results
        self.campaign = labels.campaign_id(results)

    def labels(self, kind: str, commit: str, arm: str, recipe: str, name: str) -> dict[str, str]:
        """Return the labels of an image of this campaign."""
        return {
            labels.KIND: kind,
            labels.CAMPAIGN: self.campaign,
            labels.RESULTS: str(self.results.resolve()),
            labels.COMMIT: commit,
            labels.ARM: arm,
            labels.RECIPE: recipe,
            labels.IMAGE: name,
        }

    def images(self, *, campaign: bool = True, commit: str = "") -> list[Image]:
        """Return the images of this campaign (or of all) and of one commit (or all), without bases
        and without a build's intermediate images."""
        wanted = [f"{labels.CAMPAIGN}={self.campaign}" if campaign else labels.CAMPAIGN]
        if commit:
            wanted.append(f"{labels.COMMIT}={commit}")
        with self.engine.faults("list images"):
            items = self.engine.api.images(filters={"label": wanted})
        return [
            Image(
                item["Id"],
                tuple(n for n in item.get("RepoTags") or () if n != NO_NAME),
                item.get("Labels") or {},
                float(item["Created"]),
                int(item["Size"]),
            )
            for item in items
        ]

    def commits(self) -> dict[str, list[Image]]:
        """Return the named images of this campaign by commit. Each commit takes an image slot."""
        out: dict[str, list[Image]] = {}
        for image in self.images():
            if image.own_names:
                out.setdefault(image.commit, []).append(image)
        return out

    def released(self, commit: str) -> Path:
        """Return the record that exists once a commit's images are no longer needed."""
        return self.results / "images" / commit / "released.json"

    def inspect(self, name: str) -> dict[str, Any] | None:
        """Return the engine's facts of an image, or None if there is none of that name."""
        with self.engine.faults(f"inspect image {name}"):
            try:
                image: dict[str, Any] = self.engine.api.inspect_image(name)
            except docker.errors.ImageNotFound:
                return None
        return image

    def facts(self, name: str, below: str = "") -> ImageFacts:
        """Return the facts of an image; ``below`` is the image that it was made from. Raises
        InfraFault if it does not exist."""
        image, parent = self.inspect(name), self.inspect(below) if below else None
        if image is None:
            raise infra_fault("infra.image_lost", name, "it was there a moment ago")
        return ImageFacts(
            image_id=image["Id"],
            made_from=_name_and_digest(below, parent),
            layers=tuple(image.get("RootFS", {}).get("Layers") or ()),
            size=int(image["Size"]),
            own_size=int(image["Size"]) - (int(parent["Size"]) if parent else 0),
            rebuilt=labels.REBUILT in ((image.get("Config") or {}).get("Labels") or {}),
            digests=tuple(image.get("RepoDigests") or ()),
        )

    def borrow(self, name: str) -> None:
        """Note that patchbench pulled a foreign image, so that ``give_back`` may remove its
        name."""
        if (image := self.inspect(name)) is not None:
            self._note(name).parent.mkdir(parents=True, exist_ok=True)
            self._note(name).write_text(image["Id"], encoding="utf-8")

    def give_back(self, name: str) -> None:
        """Remove a borrowed name. Any other name stays, also one that a person has given to another
        image since."""
        note = self._note(name)
        image = self.inspect(name) if note.is_file() else None
        if image is not None and image["Id"] == note.read_text(encoding="utf-8"):
            self._remove(name)
        note.unlink(missing_ok=True)

    def _note(self, name: str) -> Path:
        # Machines with engines of their own may share the results folder.
        key = digest([slurm.host(), self.engine.url, name], 16)
        return self.results / "images" / "borrowed" / key

    def remove(self, images: Iterable[Image]) -> list[str]:
        """Remove the names that patchbench gave to images; return the removed ones. An image stays
        if a container or another image uses it, or if it has any other name."""
        gone = []
        # Children first: the engine keeps images that others are based on.
        for image in sorted(images, key=lambda i: (i.labels.get(labels.KIND) != ARM, -i.created)):
            for name in image.own_names if image.names else (image.id,):
                if self._remove(name):
                    gone.append(name)
        return gone

    def _remove(self, name: str) -> bool:
        """Remove one name. Return False if it is in use or already gone (which the engine reports
        as a server error)."""
        with self.engine.faults(f"remove image {name}"):
            try:
                self.engine.api.remove_image(name)
            except docker.errors.APIError as error:
                if error.is_client_error() or self.inspect(name) is None:
                    return False
                raise
        return True

    def torn(self) -> list[Image]:
        """Return nameless images of this campaign's failed or killed builds."""
        return [
            image
            for image in self.images()
            if not image.names and not being_built(image.labels.get(labels.IMAGE, ""))
        ]


def image_lock(name: str) -> Path:
    """Return the lock that is held while an image of this name is made."""
    return lock_folder() / "images" / f"{name.replace('/', '_').replace(':', '_')}.lock"


def being_built(name: str) -> bool:
    """Return True if a living process makes an image of this name."""
    return bool(name) and is_held(image_lock(name))


def _name_and_digest(name: str, image: dict[str, Any] | None) -> str:
    if not name or image is None:
        return name
    # An image that was never pushed has no digest; its id identifies it on this machine.
    return next(iter(image.get("RepoDigests") or ()), f"{name}@{image['Id']}")
