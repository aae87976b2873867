"""The workflow's own folder: a relative path that the working folder lacks is looked up there."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

# Set by the process that schedules a run, inherited by its jobs.
SOURCE = "PATCHBENCH_SOURCE"
# The command that a person typed, if it was `patchbench run`.
COMMAND = "PATCHBENCH_COMMAND"


SHIPPED = "shipped"  # the workflow's files in a wheel (setup.py), below the package


def own() -> str:
    """Return the folder of the workflow that this package belongs to: the clone that it was
    installed from by ``pip install -e``, or the copy in a wheel; else an empty text."""
    package = Path(__file__).resolve().parents[1]
    for folder in (package.parents[1], package / SHIPPED):
        if (folder / "Snakefile").is_file() and (folder / "rules").is_dir():
            return str(folder)
    return ""


def find(path: str, source: str | None = None) -> str:
    """Return a path as it stands if it is absolute or exists in the working folder; else below the
    workflow's source folder, if it exists there; else as it stands."""
    source = source or os.environ.get(SOURCE, "")
    with suppress(OSError):  # a text of a command may be too long for a path
        if path and source and not Path(path).is_absolute() and not Path(path).exists():
            candidate = Path(source) / path
            return str(candidate) if candidate.exists() else path
    return path
