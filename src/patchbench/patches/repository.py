"""The subject's repository: made once by a command of its file, shared by all jobs."""

from __future__ import annotations

import ctypes
import os
import shutil
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from patchbench.errors import BadInput, infra_fault
from patchbench.patches import git
from patchbench.subject import Subject
from patchbench.system import processes, source_folder
from patchbench.system.command_words import expand
from patchbench.system.files import temporary_prefix
from patchbench.system.locks import locked

PREPARE_SECONDS, STOP_SECONDS = 3600.0, 5.0
# Says that the prepare command made a repository: no other is ever replaced.
MARK = "patchbench-made"
# Variables that point git at another repository than the one that it is told to make
# (`git rev-parse --local-env-vars`).
OF_A_REPOSITORY = (
    "GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_CONFIG", "GIT_CONFIG_COUNT", "GIT_CONFIG_PARAMETERS",
    "GIT_OBJECT_DIRECTORY", "GIT_DIR", "GIT_WORK_TREE", "GIT_IMPLICIT_WORK_TREE", "GIT_GRAFT_FILE",
    "GIT_INDEX_FILE", "GIT_NO_REPLACE_OBJECTS", "GIT_REPLACE_REF_BASE", "GIT_PREFIX",
    "GIT_SHALLOW_FILE", "GIT_COMMON_DIR", "GIT_NAMESPACE",
)  # fmt: skip
AT_CWD, EXCHANGE = -100, 2  # AT_FDCWD and RENAME_EXCHANGE of renameat2(2)


def ensure_repository(subject: Subject, python: str, *, commit: str | None = None) -> Path:
    """Return the subject's bare repository, shared by all jobs. Its ``prepare`` command makes it
    once, and again if it lacks ``commit`` (the source may have new commits).

    Raises BadInput if there is neither a repository nor a command, InfraFault if that fails.
    """
    repo = Path(subject.source.repo)

    def is_complete() -> bool:
        exists = (repo / "HEAD").is_file()
        return exists and (commit is None or git.commit_id(repo, commit) is not None)

    if is_complete():
        return repo
    if not subject.source.prepare:
        if (repo / "HEAD").is_file():
            return repo
        raise BadInput(f"config/subjects/{subject.name}.yaml: source.repo: no repository at {repo}")
    what = f"preparing {repo}"
    with locked(repo.with_name(f"{repo.name}.lock"), seconds=PREPARE_SECONDS, what=what):
        if not is_complete():
            _prepare(subject, python, repo)
    return repo


def _prepare(subject: Subject, python: str, repo: Path) -> None:
    """Run the prepare command into a new folder and exchange it for the old one, if there is one
    that such a command made. Raises BadInput for another's repository, InfraFault."""
    if repo.exists() and not (repo / MARK).exists():
        raise BadInput(
            f"{repo}: lacks a commit, and was not made by source.prepare of subject {subject.name} "
            "| next: git fetch what is missing there, or move it away and run again"
        )
    new = repo.with_name(f".{repo.name}.new")
    shutil.rmtree(new, ignore_errors=True)
    # Words as they were written: the new repository always lies below the working folder.
    words = map(source_folder.find, subject.source.prepare)
    command = expand(words, {"python": python, "repo": str(new)})
    code, message = _run(command)
    if code or not (new / "HEAD").is_file():
        last = (message or "no message").splitlines()[-1]
        facts = f"subject {subject.name}", " ".join(command), f"exit {code}: {last}"
        raise infra_fault("infra.prepare_failed", *facts, step="run that command by hand")
    (new / MARK).touch()
    _exchange(new, repo)
    shutil.rmtree(new, ignore_errors=True)


def _run(command: Sequence[str]) -> tuple[int, str]:
    """Run a command with the user's own settings of git; return its exit code and its message. It
    ends with this process, at the latest after PREPARE_SECONDS."""
    env = {name: value for name, value in os.environ.items() if name not in OF_A_REPOSITORY}
    with tempfile.TemporaryDirectory(prefix=temporary_prefix()) as folder:
        out, err = Path(folder, "stdout"), Path(folder, "stderr")
        try:
            child = processes.spawn(command, cwd=Path.cwd(), env=env, stdout=out, stderr=err)
        except OSError as error:
            return 127, str(error)
        deadline = time.monotonic() + PREPARE_SECONDS
        try:
            while child.exit_code is None and time.monotonic() < deadline:
                time.sleep(processes.TICK_SECONDS)
            code = child.exit_code
        finally:
            child.stop(STOP_SECONDS)
        if code is None:
            return 124, f"no end within {PREPARE_SECONDS:.0f} s"
        texts = [path.read_text(encoding="utf-8", errors="replace").strip() for path in (err, out)]
        return code, texts[0] or texts[1]


def _exchange(new: Path, repo: Path) -> None:
    """Give the new folder the name of the old one at one blow, and the old one that of the new. On
    a file system that can't do this there is no repository for a moment, and a reader waits for the
    lock."""
    if not repo.exists():
        new.rename(repo)
        return
    renameat2 = getattr(ctypes.CDLL(None), "renameat2", None)  # glibc 2.28
    names = os.fsencode(new), os.fsencode(repo)
    if renameat2 is None or renameat2(AT_CWD, names[0], AT_CWD, names[1], EXCHANGE):
        old = repo.with_name(f".{repo.name}.old")
        shutil.rmtree(old, ignore_errors=True)
        repo.rename(old)
        new.rename(repo)
        shutil.rmtree(old, ignore_errors=True)
