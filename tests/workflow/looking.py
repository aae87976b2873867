"""Commands that only look, and the state of all that a run writes."""

from __future__ import annotations

import hashlib

from tests.workflow.project import Project

LOOKING = (
    ("-n",),
    ("-n", "--cores", "4", "--resources", "gpu=1"),
    ("--lint",),
    ("--dag",),
    ("--summary",),
)


def state(project: Project) -> dict[str, tuple[float, str]]:
    """Names, times and contents of all that a run writes."""
    entries = {}
    for name in ("results", ".patchbench", ".locks"):
        for path in [project.folder / name, *(project.folder / name).rglob("*")]:
            if path.exists():
                content = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
                entries[str(path)] = (path.stat().st_mtime, content)
    return entries
