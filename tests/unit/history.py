"""A real git repository of a small engine, and diffs as git writes them."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import NamedTuple

CORE = "".join(f"def step_{i}(x):\n    return x + {i}\n\n\n" for i in range(6))
OLDER = CORE.replace("return x + 4", "return 4 + x  # before the clean-up")
PARENT_FILES: dict[str, bytes] = {
    "engine/__init__.py": b"",
    "engine/core.py": CORE.encode(),
    "engine/table.bin": bytes(range(256)) * 2,
    "engine/latin.py": b"# coding: latin-1\nNAME = 'caf\xe9'\nSIZE = 1\n",
    "engine/windows.py": b"A = 1\r\nB = 2\r\nC = 3\r\n",
    "engine/old.py": b"UNUSED = True\n",
    "bench/client.py": b"ROUNDS = 10\nWARM_UPS = 2\n",
    "tests/test_core.py": b"def test_nothing():\n    assert True\n",
    "README.md": b"A small engine.\n",
}
HUMAN_FILES: dict[str, bytes | None] = {
    "engine/core.py": CORE.replace("x + 3", "x + 1 + 2").encode(),
    "engine/table.bin": bytes(reversed(range(256))),
    "engine/windows.py": b"A = 1\r\nB = 22\r\nC = 3\r\n",
    "tests/test_core.py": b"def test_nothing():\n    assert not False\n",
}
QUIET = {
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
    **{f"GIT_{who}_NAME": "somebody" for who in ("AUTHOR", "COMMITTER")},
    **{f"GIT_{who}_EMAIL": "somebody@example.org" for who in ("AUTHOR", "COMMITTER")},
}


def run_git(folder: Path, *args: str) -> bytes:
    """git, deaf to the configuration of whoever runs the tests."""
    done = subprocess.run(
        ["git", *args], cwd=folder, check=True, capture_output=True, env={**os.environ, **QUIET}
    )
    return done.stdout


def write_files(folder: Path, files: dict[str, bytes | None]) -> None:
    """Write files; None removes one."""
    for name, data in files.items():
        path = folder / name
        if data is None:
            path.unlink()
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def commit(tree: Path, files: dict[str, bytes | None]) -> str:
    """Commit these changes and return the hash."""
    write_files(tree, files)
    run_git(tree, "add", "--all")
    run_git(tree, "commit", "--quiet", "--message", "change")
    return run_git(tree, "rev-parse", "HEAD").decode().strip()


class History(NamedTuple):
    """The repository's git folder and its three commits."""

    repo: Path
    older: str
    parent: str
    human: str

    @classmethod
    def make(cls, folder: Path) -> History:
        tree = folder / "tree"
        tree.mkdir()
        run_git(tree, "init", "--quiet")
        older = commit(tree, {**PARENT_FILES, "engine/core.py": OLDER.encode()})
        parent = commit(tree, PARENT_FILES)
        human = commit(tree, HUMAN_FILES)
        return cls(tree / ".git", older, parent, human)

    def diff(self, files: dict[str, bytes | None], *options: str, base: str | None = None) -> bytes:
        """What git says of these changes to the parent (or another base)."""
        with tempfile.TemporaryDirectory() as folder:
            tree = Path(folder) / "tree"
            run_git(self.repo, "clone", "--quiet", "--shared", "--no-checkout", ".", str(tree))
            run_git(tree, "checkout", "--quiet", base or self.parent)
            write_files(tree, files)
            run_git(tree, "add", "--all")
            return run_git(tree, "diff", "--cached", "--binary", *options)

    def unpack(self, folder: Path, revision: str) -> None:
        """The files of a commit, without its history."""
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        archive = run_git(self.repo, "archive", revision)
        subprocess.run(["tar", "-x"], cwd=folder, input=archive, check=True)
