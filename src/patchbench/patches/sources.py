"""Where patches come from: an agent's folder, or git for the human's arm."""

from __future__ import annotations

from pathlib import Path

from patchbench import git
from patchbench.files import digest
from patchbench.records import HUMAN, Candidate, Evidence, Fetched, Task

SUFFIXES = (".diff", ".patch")


def find_patch(folder: Path, commit: str) -> Path | None:
    """The patch file for a commit in a plain folder: by 8, 12 or all characters of its hash."""
    for stem in (commit, commit[:12], commit[:8]):
        for suffix in SUFFIXES:
            path = folder / f"{stem}{suffix}"
            if path.is_file():
                return path
    return None


def fetch(task: Task, arm: str, folder: Path | None, repo: Path | None) -> tuple[Fetched, bytes]:
    """Get an arm's patch: the record of what was seen, and the bytes (empty if there is none)."""
    if arm == HUMAN:
        assert repo is not None and task.parent is not None
        source, path = "git", f"git diff {task.parent[:12]} {task.commit[:12]}"
        data: bytes | None = git.diff(repo, task.parent, task.commit)
    else:
        assert folder is not None
        source, found = "folder", find_patch(folder, task.commit)
        path = str(found or folder / f"{task.commit[:8]}.diff")
        data = found.read_bytes() if found else None
    candidate = Candidate(
        source=source,
        path=path,
        found=data is not None,
        sha256=digest(data) if data is not None else None,
        size=len(data) if data is not None else None,
    )
    cause = None
    text = f"{path}: {len(data or b'')} bytes"
    if data is None:
        cause = "patch.missing"
        text = f"{path}: no such file" if folder and folder.is_dir() else f"{folder}: no folder"
    elif not data.strip():
        cause = "patch.empty"
    return (
        Fetched(
            stage="fetch_patch",
            commit=task.commit,
            arm=arm,
            status="failed" if cause else "ok",
            cause=cause,
            evidence=Evidence(text=text) if cause else None,
            candidates=(candidate,),
            source=source if data is not None else None,
            sha256=candidate.sha256,
            size=candidate.size or 0,
        ),
        data or b"",
    )
