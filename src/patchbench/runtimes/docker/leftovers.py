"""Leftovers of dead runs in an engine: found by their labels and removed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import docker.errors

from patchbench.runtimes.docker import labels
from patchbench.runtimes.docker.engine import Engine
from patchbench.runtimes.docker.image_store import REPOSITORY, Store, being_built


def clean_up(url: str, results: Path) -> list[str]:
    """Clean an engine for a campaign. Raises InfraFault, BadInput (Podman)."""
    return clean(Store(Engine(url), results))


def clean(store: Store) -> list[str]:
    """Remove containers with a dead owner (of any campaign), containers of this campaign's dead
    builds, and its torn images; return their names."""
    engine, gone = store.engine, []
    with engine.faults("look for leftovers"):
        containers = engine.api.containers(all=True, filters={"label": labels.CAMPAIGN})
    for item in containers:
        own = item.get("Labels") or {}
        started_by_us = labels.OWNER in own
        if not (labels.owner_is_dead(own) if started_by_us else _dead_build(store, item, own)):
            continue
        with engine.faults("remove a leftover"):
            try:
                engine.api.remove_container(item["Id"], force=True, v=True)
            except docker.errors.APIError as error:
                if not error.is_client_error():  # 4xx: it is gone, or is being removed
                    raise
                continue
        gone.append(f"container {(item['Names'] or [item['Id'][:12]])[0].lstrip('/')}")
    return gone + [f"image {name}" for name in store.remove(store.torn())]


def _dead_build(store: Store, item: Mapping[str, Any], own: Mapping[str, str]) -> bool:
    """Return True if a container belongs to a build that is over. Its image is an id; a container
    that a person started from one of our images has that image's name."""
    return (
        own.get(labels.CAMPAIGN) == store.campaign
        and not str(item["Image"]).startswith(REPOSITORY)
        and not being_built(own.get(labels.IMAGE, ""))
    )
