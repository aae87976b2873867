"""The folder in which an engine keeps the layers of its images.

With the classic store it is the engine's data folder. With containerd's image store (the default of
fresh installations since Docker 29) it is containerd's: below the data folder if dockerd started
containerd itself, else the one that containerd's configuration names (containerd-config.toml(5)).
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

SNAPSHOTTER = ["driver-type", "io.containerd.snapshotter.v1"]
CONFIG, DEFAULT = Path("/etc/containerd/config.toml"), Path("/var/lib/containerd")


def folder(info: Mapping[str, Any], config: Path = CONFIG) -> Path:
    """Return the folder, by what the engine says about itself (GET /info). Raises LookupError."""
    root = Path(info["DockerRootDir"])
    if SNAPSHOTTER not in (info.get("DriverStatus") or []):
        return root
    own = root / "containerd" / "daemon"
    return own if own.is_dir() else _containerds(config)


def _containerds(config: Path) -> Path:
    try:
        return Path(str(tomllib.loads(config.read_text(encoding="utf-8")).get("root", DEFAULT)))
    except (OSError, ValueError):
        return DEFAULT
