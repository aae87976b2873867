"""Patches that an agent left as branches or other refs of a git repository."""

from __future__ import annotations

import functools
from functools import partial
from pathlib import Path
from typing import NamedTuple

from patchbench.errors import BadInput
from patchbench.patches import git
from patchbench.patches.sources.base import Content, Hit, PatchQuery, Source, content_of, iso

# Prefixes of a short name, in the order in which git itself tries them.
NAMESPACES = ("", "refs/", "refs/tags/", "refs/heads/", "refs/remotes/", "refs/remotes/origin/")
FORMAT = "%(objectname) %(*objectname) %(creatordate:unix) %(refname)"


class Ref(NamedTuple):
    """Commit of a ref and its time."""

    commit: str
    time: str


class Branches(Source):
    """One ref per task, named by a template; the patch is its change against the parent."""

    def problem(self) -> str | None:
        return None if self.path.is_dir() else f"no repository {self.path}"

    def hits(self, query: PatchQuery) -> list[Hit]:
        name = self.place.ref.format(
            commit=query.commit, commit8=query.commit[:8], commit12=query.commit[:12]
        )
        known = refs(self.path)
        ref = next((known[space + name] for space in NAMESPACES if space + name in known), None)
        if ref is None:
            return []
        path = f"{self.path}: git diff {(query.parent or 'PARENT')[:12]} {name}"
        # The diff is read later: planning must be quick.
        read = partial(_diff, self.path, query.parent, ref.commit)
        return [Hit("git", path, read, ref.time, stamp=f"git:{ref.commit}")]


def git_folder(path: Path) -> Path:
    """Return the git folder of a repository, bare or not."""
    return path / ".git" if (path / ".git").exists() else path


def _diff(path: Path, parent: str | None, commit: str) -> Content:
    if parent is None or git.commit_id(git_folder(path), parent) is None:
        raise git.GitError("the parent commit is not in that repository")
    return content_of(git.diff(git_folder(path), parent, commit))


@functools.cache
def refs(path: Path) -> dict[str, Ref]:
    """Return all refs of a repository by name; none without a folder. Raises BadInput."""
    if not path.is_dir():
        return {}
    try:
        listing = git.git("for-each-ref", f"--format={FORMAT}", repo=git_folder(path))
    except git.GitError as error:
        raise BadInput(f"patches: {path}: not a git repository: {error}") from error
    rows = (line.split(" ", 3) for line in listing.decode("utf-8", "replace").splitlines())
    return {
        name: Ref(peeled or commit, iso(float(seconds or 0)))
        for commit, peeled, seconds, name in rows
    }
