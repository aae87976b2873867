"""The root file system of tinyserve's base image."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from patchbench.plan import recipes
from tests.workflow.project import ROOT


def root_archive(folder: Path) -> Path:
    """Return the archive that the project has, or make one in ``folder`` from the network's
    packages (seconds)."""
    name = f"tinyserve-{recipes.content(ROOT / 'envs/images/tinyserve')}.tar"
    for archive in (ROOT / ".patchbench" / "images" / name, folder / name):
        if archive.is_file():
            return archive
    folder.mkdir(parents=True, exist_ok=True)
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", str(ROOT / "envs/images/tinyserve/base.sh"), str(folder / name), str(folder)],
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return folder / name
