"""An agent's repository, read without running git in it: its configuration, hooks and attributes
are the agent's. Refs are read as files; of all the rest only the objects (``patches.git``)."""

from __future__ import annotations

import functools
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path

from patchbench.errors import BadInput
from patchbench.patches import git
from patchbench.system.contained_file import open_contained

HASH = re.compile(r"[0-9a-f]{40}")
SYMBOLIC = "ref: "
MAX_STEPS = 5  # of symbolic refs, as git has it
MAX_BYTES = 50_000_000
TAGS = "refs/tags/"
READ = ("objects", "refs", "packed-refs")


def git_folder(path: Path) -> Path:
    """Return the git folder of a repository, bare or not. Raises BadInput if there is none."""
    folder = path / ".git" if (path / ".git").is_dir() else path
    if not (path / ".git").is_file() and not (folder / "objects").is_dir():
        raise BadInput(f"patches: {path}: not a git repository")
    return folder


def refusal(path: Path) -> str | None:
    """Return the reason why a repository is not read, or None: parts of it lie outside of its
    folder, or are no files."""
    folder, top = git_folder(path), os.path.realpath(path)
    elsewhere = {
        path / ".git": "a work tree of another repository: give the path of that one",
        folder / "commondir": "a work tree of another repository: give the path of that one",
        folder / "objects/info/alternates": "its objects lie elsewhere: run `git repack -a -d` and "
        "delete that file",
    }
    for file, why in elsewhere.items():
        if file.is_file():
            return f"{file}: {why}"
    if (folder / "reftable").exists():
        return f"{folder}/reftable: unknown format: run `git refs migrate --ref-format=files`"
    for entry in _entries(folder):
        mode = entry.lstat().st_mode
        if stat.S_ISLNK(mode) and not os.path.realpath(entry).startswith(f"{top}/"):
            return f"{entry}: a link that leads out of the repository"
        if not (stat.S_ISLNK(mode) or stat.S_ISDIR(mode) or stat.S_ISREG(mode)):
            return f"{entry}: neither a file nor a folder"
    return None


def _entries(folder: Path) -> Iterator[Path]:
    yield folder
    for name in READ:
        if os.path.lexists(folder / name):
            yield folder / name
        for where, folders, files in os.walk(folder / name):
            yield from (Path(where, entry) for entry in (*folders, *files))


def ref(folder: Path, name: str) -> str | None:
    """Return the commit of a ref by its full name, or None. Raises git.GitError."""
    for _ in range(MAX_STEPS):
        text = _text(folder / name, folder).strip()
        if not text.startswith(SYMBOLIC):
            break
        name = text.removeprefix(SYMBOLIC).strip()
        if not name.startswith("refs/") or ".." in name.split("/"):
            return None
    found = text if HASH.fullmatch(text) else packed(folder).get(name)
    if found and name.startswith(TAGS):
        return git.peeled(folder, found)
    return found


@functools.cache
def packed(folder: Path) -> dict[str, str]:
    """Return the hashes in packed-refs by name (gitrepository-layout(5))."""
    rows = (line.split(" ", 1) for line in _text(folder / "packed-refs", folder).splitlines())
    return {row[1]: row[0] for row in rows if len(row) == 2 and HASH.fullmatch(row[0])}


def _text(path: Path, root: Path) -> str:
    """Return the text of a small file, empty if there is none."""
    try:
        with open_contained(path, root) as file:
            return file.read(MAX_BYTES).decode("utf-8", "replace")
    except OSError:
        return ""
