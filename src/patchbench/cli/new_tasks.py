"""A task list made from a repository: one task per commit that a patch is named after."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

import yaml

from patchbench.errors import BadInput
from patchbench.patches import git
from patchbench.patches.sources import agent_repository
from patchbench.patches.sources.folder import SUFFIXES
from patchbench.plan.subjects import git_folder

COMMIT = re.compile(r"[0-9a-f]{7,40}")
HEAD = """\
# Tasks of the commits that patches are named after. Each needs its benchmark command: the one that
# the commit's author gave, in the words of `vllm bench` or of the engine's own benchmark.
"""


def repository(folder: Path) -> Path:
    """Return git's own folder of a repository. Raises BadInput."""
    found = git_folder(folder.expanduser())
    if found is None:
        raise BadInput(f"--repo {folder}: no git repository there")
    return found


def subject_of_repository(folder: Path, source: str) -> str:
    """Return the subject whose package the repository's newest commit holds, at the top or under
    python/. ``source`` is the workflow's folder. Raises BadInput if none or several fit."""
    repo = repository(folder)
    head = _head(repo)
    names = git.git("ls-tree", "--name-only", head, "./", "python/", repo=repo).decode()
    packages = {line.rpartition("/")[2] for line in names.splitlines()}
    known = sorted(path.stem for path in Path(source or ".").glob("config/subjects/*.yaml"))
    fits = [name for name in known if name.partition("-")[0] in packages]
    exact = [name for name in fits if name in packages]
    if len(exact or fits) != 1:
        raise BadInput(
            f"--repo {folder}: its packages tell no engine ({', '.join(fits) or 'none'} fit) "
            f"| next: --subject NAME, one of {', '.join(known)}"
        )
    return (exact or fits)[0]


def _head(repo: Path) -> str:
    """Return the hash of the commit that HEAD names. Raises BadInput."""
    found = agent_repository.ref(repo, "HEAD")
    if found is None:
        raise BadInput(f"{repo}: HEAD names no commit | next: git checkout a branch there")
    return found


def task_list(
    folder: Path, agents: Iterable[Path], subject: str, command: str
) -> tuple[str, list[str]]:
    """Return a task list as YAML, and warnings on patches of no commit. Raises BadInput if no patch
    belongs to a commit."""
    repo = repository(folder)
    files = [f for agent in agents for f in sorted(agent.iterdir()) if f.suffix in SUFFIXES]
    tasks: dict[str, dict[str, str | None]] = {}
    notes = []
    for file in files:
        commit = git.peeled(repo, file.stem) if COMMIT.fullmatch(file.stem) else None
        if commit is None:
            notes.append(f"{file}: named after no commit of {folder}")
        elif commit not in tasks:
            tasks[commit] = _task(repo, commit, subject, command)
    if not tasks:
        raise BadInput(
            f"{folder}: none of {len(files)} patches is named after one of its commits | next: "
            "name each patch after the performance commit that it answers (8 characters, .diff)"
        )
    if not command:
        notes.append("no --command was given: fill in each task's perf_command")
    return HEAD + yaml.safe_dump({"tasks": list(tasks.values())}, sort_keys=False), notes


def _task(repo: Path, commit: str, subject: str, command: str) -> dict[str, str | None]:
    title = git.git("log", "-1", "--format=%s", commit, repo=repo).decode("utf-8", "replace")
    return {
        "commit": commit,
        "parent": git.peeled(repo, f"{commit}^"),
        "subject": subject,
        "title": title.strip(),
        "perf_command": command or None,
    }
