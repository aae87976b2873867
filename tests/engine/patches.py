"""Patches for tests, made against a commit of tinyserve's history."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.workflow.project import Project

COMMIT = "6a8f6d89b7be55d43d48088d99b3153de4784bdb"
PARENT = "77f9ddebf71ebcdc2efb9830366896a946a56b24"
AT_START = "    def __init__(self, config: EngineConfig) -> None:\n"
AT_REQUEST = (
    "    def add_request(self, prompt_ids: Sequence[int], params: SamplingParams) -> Request:\n"
)


def repository(project: Project) -> Path:
    """Make tinyserve's repository as the workflow does; return its folder."""
    repo = project.folder / ".patchbench" / "repos" / "tinyserve.git"
    if not repo.is_dir():
        repo.parent.mkdir(parents=True, exist_ok=True)
        make = project.folder / "examples/tinyserve/make_repo.py"
        subprocess.run([sys.executable, str(make), "--out", str(repo)], check=True)
    return repo


def at(repo: Path, path: str, revision: str = PARENT) -> str:
    """Return a file's text at a revision."""
    return subprocess.run(
        ["git", "--git-dir", str(repo), "show", f"{revision}:{path}"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout


def edit(folder: Path, path: str, old: str, new: str) -> str:
    """Return git's patch from one text of a file to another."""
    for side, text in (("a", old), ("b", new)):
        place = folder / side / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
    done = subprocess.run(
        ["git", "diff", "--no-index", "--no-prefix", f"a/{path}", f"b/{path}"],
        cwd=folder,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1, done.stderr
    return done.stdout


def inserted(repo: Path, folder: Path, where: str, code: str, parent: str = PARENT) -> str:
    """Return a patch that runs code when the engine is made, or for each request."""
    path = "tinyserve/engine.py"
    old = at(repo, path, parent)
    assert where in old
    body = "".join(f"        {line}\n" for line in code.strip().splitlines())
    return edit(folder, path, old, old.replace(where, where + body))
