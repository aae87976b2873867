"""A bare git repository out of files in memory, the same hashes on every machine.

Names and times are fixed and no configuration but the repository's own is read.
"""

import os
import subprocess
from pathlib import Path

COMMITTER = "vLLM example <example@invalid>"
# Any fixed time will do; the commit after comes an hour later.
BEFORE, AFTER = "1767225600 +0000", "1767229200 +0000"

# Contents by path; None takes a file away.
Files = dict[str, bytes | None]


class SubjectError(Exception):
    """Something that the user can put right, told in one line."""


def git(repository: Path, *arguments: str, data: bytes | None = None) -> str:
    """Run git in a bare repository and return what it prints. Raises SubjectError."""
    environment = {name: value for name, value in os.environ.items() if name[:4] != "GIT_"}
    environment |= {"GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull, "LC_ALL": "C"}
    command = ["git", "--git-dir", str(repository), *arguments]
    try:
        done = subprocess.run(command, input=data, capture_output=True, env=environment)
    except FileNotFoundError:
        raise SubjectError("git is not installed") from None
    if done.returncode:
        lines = done.stderr.decode(errors="replace").strip().splitlines() or ["no message"]
        fatal = [line for line in lines if line.startswith(("fatal:", "error:"))]
        raise SubjectError(f"git {arguments[0]} failed: {(fatal or lines)[0]}")
    return done.stdout.decode("utf-8")


def init(repository: Path, *options: str) -> None:
    """Make an empty bare repository."""
    repository.mkdir(parents=True)
    git(repository, "init", "--quiet", "--bare", "--template=", *options)


def commit(branch: str, when: str, message: str, files: Files, parent: str = "") -> bytes:
    """One commit in the language of `git fast-import`, on top of the branch or of `parent`."""
    text = message.encode() + b"\n"
    head = (
        f"commit refs/heads/{branch}\nauthor {COMMITTER} {when}\ncommitter {COMMITTER} {when}\n"
        f"data {len(text)}\n"
    )
    parts = [head.encode(), text, f"from {parent}\n".encode() if parent else b""]
    for path, content in sorted(files.items()):
        if content is None:
            parts.append(f"D {path}\n".encode())
        else:
            parts += [f"M 100644 inline {path}\ndata {len(content)}\n".encode(), content, b"\n"]
    return b"".join(parts) + b"\n"


def fast_import(repository: Path, stream: bytes) -> None:
    """Take commits in; a branch may be set back."""
    git(repository, "fast-import", "--quiet", "--force", data=stream)


def patch(repository: Path, scratch: Path, parent: str, files: Files) -> str:
    """`git diff` between a commit and the same with `files` changed.

    The changed commit goes to a scratch repository that borrows the first one's objects: a subject
    must not hold its agents' answers.
    """
    if not scratch.exists():
        init(scratch)
        alternates = scratch / "objects" / "info" / "alternates"
        alternates.parent.mkdir(exist_ok=True)
        alternates.write_text(f"{(repository / 'objects').resolve()}\n", encoding="utf-8")
    fast_import(scratch, commit("patch", AFTER, "patch", files, parent))
    return git(scratch, "diff", "--no-ext-diff", "--no-color", "--full-index", parent, "patch")
