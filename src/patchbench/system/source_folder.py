"""The workflow's own folder: a relative path that the working folder lacks is looked up there."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

# Set by the process that schedules a run, inherited by its jobs.
SOURCE = "PATCHBENCH_SOURCE"


def clone() -> str:
    """Return the folder of the clone that this package was installed from by ``pip install -e``; an
    empty text for a wheel."""
    folder = Path(__file__).resolve().parents[3]
    return str(folder) if (folder / "rules").is_dir() else ""


def find(path: str, source: str | None = None) -> str:
    """Return a path as it stands if it is absolute or exists in the working folder; else below the
    workflow's source folder, if it exists there; else as it stands."""
    source = source or os.environ.get(SOURCE, "")
    with suppress(OSError):  # a text of a command may be too long for a path
        if path and source and not Path(path).is_absolute() and not Path(path).exists():
            candidate = Path(source) / path
            return str(candidate) if candidate.exists() else path
    return path
