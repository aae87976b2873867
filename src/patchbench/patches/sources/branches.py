"""Patches that an agent left as branches or other refs of a git repository."""

from __future__ import annotations

import functools
from functools import partial
from pathlib import Path

from patchbench.patches import git
from patchbench.patches.sources import agent_repository
from patchbench.patches.sources.agent_repository import git_folder
from patchbench.patches.sources.base import Content, Hit, PatchQuery, Source, content_of, iso

# Prefixes of a short name, in the order in which git itself tries them.
NAMESPACES = ("", "refs/", "refs/tags/", "refs/heads/", "refs/remotes/", "refs/remotes/origin/")
REFS = "refs/"


class Branches(Source):
    """One ref per task, named by a template; the patch is its change against the parent."""

    def problem(self) -> str | None:
        return refusal(self.path) if self.path.is_dir() else f"no repository {self.path}"

    def hits(self, query: PatchQuery) -> list[Hit]:
        name = self.place.ref.format(
            commit=query.commit, commit8=query.commit[:8], commit12=query.commit[:12]
        )
        if self.problem():
            return []
        folder = git_folder(self.path)
        names = [space + name for space in NAMESPACES if (space + name).startswith(REFS)]
        commit = next(filter(None, (ref(folder, full) for full in names)), None)
        if commit is None:
            return []
        path = f"{self.path}: git diff {(query.parent or 'PARENT')[:12]} {name}"
        # The diff is read later: planning must be quick.
        read = partial(_diff, folder, query.parent, commit)
        return [Hit("git", path, read, stamp=f"git:{commit}")]


@functools.cache
def refusal(path: Path) -> str | None:
    """Return the reason why a repository is not read, or None. Raises BadInput."""
    return agent_repository.refusal(path)


@functools.cache
def ref(folder: Path, name: str) -> str | None:
    """Return the commit of a ref by its full name, or None."""
    try:
        return agent_repository.ref(folder, name)
    except git.GitError:
        return None


def _diff(folder: Path, parent: str | None, commit: str) -> Content:
    if parent is None or git.peeled(folder, parent) is None:
        raise git.GitError("the parent commit is not in that repository")
    content = content_of(git.diff(folder, parent, commit))
    return content._replace(time=iso(git.commit_time(folder, commit)))
