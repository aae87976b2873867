"""Room is asked of the disk on which an engine's layers lie."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from patchbench.runtimes.docker import layers

CONTAINERD = [["driver-type", "io.containerd.snapshotter.v1"]]
CLASSIC = [["Backing Filesystem", "extfs"], ["Supports d_type", "true"]]


@pytest.mark.parametrize(
    ("status", "own", "config", "where"),
    [
        (CLASSIC, True, 'root = "/big"', "{root}"),
        (None, False, "", "{root}"),
        (CONTAINERD, True, 'root = "/big"', "{root}/containerd/daemon"),
        (CONTAINERD, False, 'version = 2\nroot = "/big"\n', "/big"),
        (CONTAINERD, False, "version = 2\n", "/var/lib/containerd"),
        (CONTAINERD, False, "root = [", "/var/lib/containerd"),
        (CONTAINERD, False, None, "/var/lib/containerd"),
    ],
)
def test_the_folder_of_layers_follows_from_what_the_engine_says(
    tmp_path: Path, status: Any, own: bool, config: str | None, where: str
) -> None:
    root, file = tmp_path / "docker", tmp_path / "config.toml"
    (root / "containerd/daemon" if own else root).mkdir(parents=True)
    if config is not None:
        file.write_text(config)
    info = {"DockerRootDir": str(root), "DriverStatus": status}
    assert str(layers.folder(info, file)) == where.format(root=root)


def test_an_engine_that_says_nothing_has_no_folder() -> None:
    with pytest.raises(LookupError):
        layers.folder({})
