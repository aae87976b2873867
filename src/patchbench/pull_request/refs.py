"""The two ends of a pull request, and a repository of our own that holds both.

The caller's repository is only read, by git with the caller's own settings.
"""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from patchbench.errors import BadInput
from patchbench.patches.repository import OF_A_REPOSITORY

# Lets a server of ours hand out commits that no ref names: by default only tips can be fetched.
UPLOAD = "git -c uploadpack.allowAnySHA1InWant=true upload-pack"
PERSON = {
    f"GIT_{role}_{what}": value
    for role in ("AUTHOR", "COMMITTER")
    for what, value in (("NAME", "patchbench"), ("EMAIL", "patchbench@localhost.example"))
}
SHORT = 8


class Refs(NamedTuple):
    """Base and head as they were named, and their commits. ``fork`` is the newest commit of the
    base that the head has too: the change since then is what is measured."""

    base_name: str
    head_name: str
    base: str
    head: str
    fork: str

    @property
    def has_moved(self) -> bool:
        """Return True if the base has commits that the head lacks."""
        return self.base != self.fork


def resolve(repo: Path, base: str, head: str) -> Refs:
    """Return the commits of two refs and the one where they part. Raises BadInput for an unknown
    ref, histories without a common commit, or a head that changes nothing."""
    if not repo.is_dir():
        raise BadInput(f"--repo {repo}: no such folder")
    commits = {
        name: _commit(repo, option, name) for option, name in (("base", base), ("head", head))
    }
    found = _run("-C", str(repo), "merge-base", commits[base], commits[head], fails=True)
    if not found:
        raise BadInput(
            f"{repo}: {base} and {head} have no common commit here | next: fetch more of their "
            "history (a checkout of depth 1 has none; fetch-depth: 0 has all)"
        )
    refs = Refs(base, head, commits[base], commits[head], found)
    if _run("-C", str(repo), "rev-parse", f"{refs.fork}^{{tree}}") == _run(
        "-C", str(repo), "rev-parse", f"{refs.head}^{{tree}}"
    ):
        raise BadInput(f"{repo}: {head} changes nothing against {base}, so there is no patch")
    return refs


def _commit(repo: Path, option: str, name: str) -> str:
    ref = "" if name.startswith("-") else name
    found = _run(
        "-C", str(repo), "rev-parse", "--verify", "--quiet", f"{ref}^{{commit}}", fails=True
    )
    if not found:
        raise BadInput(
            f"--{option} {name}: {repo} has no such commit | next: git -C {shlex.quote(str(repo))} "
            "fetch what is missing, or name a branch, tag or hash that is there"
        )
    return found


def bring(repo: Path, refs: Refs, into: Path) -> None:
    """Copy both commits with their history into a bare repository, made if it is not there."""
    _run("init", "--quiet", "--bare", str(into))
    names = {"fork": refs.fork, "head": refs.head}
    wanted = [f"+{commit}:refs/heads/{name}" for name, commit in names.items()]
    # A clone of depth 1 may be fetched from, too.
    options = "--quiet", "--no-tags", "--update-shallow", "--upload-pack", UPLOAD
    _run("-C", str(into), "fetch", *options, str(repo.resolve()), *wanted)


def task_commits(bare: Path, refs: Refs, workloads: Sequence[str]) -> list[str]:
    """Return a commit for each workload, made if it is not there: a task is named by its commit,
    and a pull request may have several. Its parent and its tree are those of the fork; the same
    workload always gives the same commit."""
    date = _run("-C", str(bare), "log", "-1", "--format=%cI", refs.fork)
    dates = {"GIT_AUTHOR_DATE": date, "GIT_COMMITTER_DATE": date}
    commits = []
    for number, workload in enumerate(workloads, start=1):
        words = "commit-tree", f"{refs.fork}^{{tree}}", "-p", refs.fork, "-m", workload
        commit = _run("-C", str(bare), *words, env=PERSON | dates)
        _run("-C", str(bare), "update-ref", f"refs/heads/workload-{number}", commit)
        commits.append(commit)
    return commits


def _run(*words: str, env: Mapping[str, str] | None = None, fails: bool = False) -> str:
    """Return what git prints. Raises BadInput with its message; an empty text if it ``fails`` and
    may."""
    kept = {name: value for name, value in os.environ.items() if name not in OF_A_REPOSITORY}
    try:
        done = subprocess.run(
            ["git", *words], capture_output=True, text=True, env={**kept, **(env or {})}
        )
    except FileNotFoundError as error:
        raise BadInput("git is not installed, and pr asks it for both commits") from error
    if done.returncode and not (fails and done.returncode == 1):
        message = (done.stderr.strip() or f"exit {done.returncode}").splitlines()[-1]
        raise BadInput(f"git {shlex.join(words)}: {message}")
    return done.stdout.strip() if not done.returncode else ""
