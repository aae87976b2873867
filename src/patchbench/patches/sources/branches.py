"""Patches that an agent left as branches or other refs of a git repository."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import NamedTuple

from patchbench.errors import BadInput
from patchbench.patches import git
from patchbench.patches.sources.base import Content, Hit, Source, Wanted, content_of, iso

# Where a name may stand, as git itself looks it up.
NAMESPACES = ("", "refs/", "refs/tags/", "refs/heads/", "refs/remotes/", "refs/remotes/origin/")
FORMAT = "%(objectname) %(*objectname) %(creatordate:unix) %(refname)"


class Ref(NamedTuple):
    """What a ref points to, and when that was made."""

    commit: str
    time: str


class Branches(Source):
    """One ref per task, named by a template; the patch is what it changes against the parent."""

    def problem(self) -> str | None:
        return None if self.place.is_dir() else f"no repository {self.place}"

    def candidates(self, wanted: Wanted) -> list[Hit]:
        name = self.where.ref.format(
            commit=wanted.commit, commit8=wanted.commit[:8], commit12=wanted.commit[:12]
        )
        known = refs(self.place)
        ref = next((known[space + name] for space in NAMESPACES if space + name in known), None)
        if ref is None:
            return []
        path = f"{self.place}: git diff {(wanted.parent or 'PARENT')[:12]} {name}"
        # The parent is looked up when the diff is read: planning 300 patches must be quick.
        read = partial(_diff, self.place, wanted.parent, ref.commit)
        return [Hit("git", path, read, ref.time, stamp=f"git:{ref.commit}")]


def repository(place: Path) -> Path:
    """The git folder of a repository, bare or not."""
    return place / ".git" if (place / ".git").exists() else place


def _diff(place: Path, parent: str | None, commit: str) -> Content:
    if parent is None or git.commit_id(repository(place), parent) is None:
        raise git.GitError("the parent commit is not in that repository")
    return content_of(git.diff(repository(place), parent, commit))


_REFS: dict[Path, dict[str, Ref]] = {}


def refs(place: Path) -> dict[str, Ref]:
    """All refs of a repository, asked once per process."""
    key = place.resolve()
    if key not in _REFS:
        out: dict[str, Ref] = {}
        if place.is_dir():
            try:
                listing = git.git("for-each-ref", f"--format={FORMAT}", repo=repository(place))
            except git.GitError as error:
                raise BadInput(f"patches: {place}: not a git repository: {error}") from error
            for line in listing.decode("utf-8", "replace").splitlines():
                commit, peeled, seconds, name = line.split(" ", 3)
                out[name] = Ref(peeled or commit, iso(float(seconds or 0)))
        _REFS[key] = out
    return _REFS[key]
