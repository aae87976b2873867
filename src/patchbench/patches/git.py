"""git by its command line, without the user's own configuration."""

from __future__ import annotations

import io
import os
import shutil
import signal
import subprocess
import tarfile
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from patchbench.errors import BadInput, InfraFault, infra_fault
from patchbench.failures import signatures
from patchbench.subject import Subject
from patchbench.system import source_folder
from patchbench.system.command_words import expand
from patchbench.system.files import temporary_prefix
from patchbench.system.locks import locked

# The user's ~/.gitconfig (autocrlf, external diff, hooks) must not change what is measured.
ENVIRONMENT = {
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_TERMINAL_PROMPT": "0",
    "LC_ALL": "C.UTF-8",
}
PREPARE_SECONDS = 3600.0
OWN_CRASHES = (signal.SIGABRT, signal.SIGSEGV, signal.SIGFPE, signal.SIGILL)
# The way out if git can't read what must be there.
WHOLE = "see that the repository is whole, and no disk full (its own, that of temporary files)"
# A check of one patch takes milliseconds; a patch made to take long is refused.
CHECK_SECONDS = 60.0


class GitError(Exception):
    """An error of git; the text is its stderr."""


def git(
    *args: str,
    repo: Path | None = None,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    stdin: bytes | None = None,
    seconds: float | None = None,
) -> bytes:
    """Run git and return its stdout. Raises GitError with git's own message or after ``seconds``,
    InfraFault if the machine is to blame."""
    command = ["git", *(["--git-dir", str(repo)] if repo else []), *args]
    try:
        done = subprocess.run(
            command,
            cwd=cwd,
            input=stdin,
            capture_output=True,
            env={**os.environ, **ENVIRONMENT, **(env or {})},
            timeout=seconds,
        )
    except subprocess.TimeoutExpired as error:
        raise GitError(f"git {args[0]} took longer than {seconds:.0f} s") from error
    if done.returncode == 0:
        return done.stdout
    message = done.stderr.decode(errors="replace").strip()
    # A full disk or a kill says nothing about the patch that git was asked about.
    machine = signatures.machine_fault(message.splitlines())
    # A crash of git itself (some crafted patches trip its assertions) is an answer, too.
    if machine or (done.returncode < 0 and -done.returncode not in OWN_CRASHES):
        fact = f"exit {done.returncode}: {message[-300:]}"
        raise infra_fault(machine or "infra.killed", f"git {args[0]}", fact)
    raise GitError(message or f"exit {done.returncode}")


def ensure_repository(subject: Subject, python: str, *, commit: str | None = None) -> Path:
    """Return the subject's bare repository, shared by all jobs. Its ``prepare`` command makes it
    once, and again if it lacks ``commit`` (the source may have new commits).

    Raises BadInput if there is neither a repository nor a command, InfraFault if that fails.
    """
    repo = Path(subject.source.repo)

    def is_complete() -> bool:
        exists = (repo / "HEAD").is_file()
        return exists and (commit is None or commit_id(repo, commit) is not None)

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
    """Run the prepare command into a new folder and swap it in: readers see the old repository
    or the new one."""
    new, old = repo.with_name(f".{repo.name}.new"), repo.with_name(f".{repo.name}.old")
    shutil.rmtree(new, ignore_errors=True)
    shutil.rmtree(old, ignore_errors=True)
    # Words as they were written: the new repository always lies below the working folder.
    words = map(source_folder.find, subject.source.prepare)
    command = expand(words, {"python": python, "repo": str(new)})
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace")
        code, message = done.returncode, done.stderr.strip() or done.stdout.strip()
    except OSError as error:
        code, message = 127, str(error)
    if code or not (new / "HEAD").is_file():
        last = (message or "no message").splitlines()[-1]
        facts = f"subject {subject.name}", " ".join(command), f"exit {code}: {last}"
        raise infra_fault("infra.prepare_failed", *facts, step="run that command by hand")
    if repo.exists():
        repo.rename(old)
    new.rename(repo)
    shutil.rmtree(old, ignore_errors=True)


def commit_id(repo: Path, revision: str) -> str | None:
    """Return the full hash of a commit, or None if the repository does not have it."""
    try:
        name = git("rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}", repo=repo)
    except GitError as error:
        if str(error) == "exit 1":  # the only sign of an unknown revision with --quiet
            return None
        place = f"{repo}: git rev-parse {revision}: {error}"
        raise infra_fault("infra.repository", place, step=WHOLE) from error
    return name.decode().strip()


def diff(repo: Path, old: str, new: str) -> bytes:
    """Return the change from one commit to another, binary files included."""
    return git("diff", "--no-color", "--no-ext-diff", "--binary", old, new, repo=repo)


def extract(repo: Path, revision: str, folder: Path) -> None:
    """Unpack a revision's files into a folder, without history."""
    archive = git("archive", "--format=tar", revision, repo=repo)
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        tar.extractall(folder, filter="data")


def archive(repo: Path, revision: str, target: Path, *, prefix: str) -> None:
    """Write a revision's files as a tar archive, each name with a prefix."""
    git(
        "archive", "--format=tar", f"--prefix={prefix}", f"--output={target}", revision, repo=repo
    )  # fmt: skip


def apply(folder: Path, patch: Path, *options: str) -> None:
    """Apply a patch to plain files. The ceiling keeps git from finding a repository around
    the folder: inside one, ``git apply`` would silently skip every path outside its prefix."""
    git(
        "apply",
        "--whitespace=nowarn",
        *options,
        str(patch.resolve()),
        cwd=folder,
        env={"GIT_CEILING_DIRECTORIES": str(folder.resolve().parent)},
    )


def listing(output: bytes, blob: int = 2) -> dict[str, str]:
    """Return blobs by path, from the output of ``ls-tree -z`` or ``ls-files --stage -z``."""
    out = {}
    for line in output.decode("utf-8", "surrogateescape").split("\0"):
        meta, tab, path = line.partition("\t")
        if tab:
            out[path] = meta.split()[blob]
    return out


class Change(NamedTuple):
    """One path that a patch changes; modes are git's (100644, 120000 a link, 160000 a submodule,
    000000 nothing)."""

    path: str
    old_mode: str
    new_mode: str
    old_blob: str
    new_blob: str


class ScratchIndex:
    """A parent's tree in a separate index, to try patches on. Nothing is checked out and the
    repository is not changed: new objects go to a scratch folder."""

    def __init__(self, repo: Path, parent: str, folder: Path) -> None:
        self.repo, self.parent, self.folder = repo.resolve(), parent, folder
        (folder / "objects").mkdir()
        (folder / "worktree").mkdir()
        self.env = {
            # Even with --cached a 3-way merge checks files out. They land here, not in the folder
            # of the caller.
            "GIT_WORK_TREE": str(folder / "worktree"),
            "GIT_INDEX_FILE": str(folder / "index"),
            "GIT_OBJECT_DIRECTORY": str(folder / "objects"),
            "GIT_ALTERNATE_OBJECT_DIRECTORIES": str(self.repo / "objects"),
        }
        self.reset()
        self._read: dict[str, bytes] = {}

    def _git(self, *args: str, stdin: bytes | None = None) -> bytes:
        return git(
            *args,
            repo=self.repo,
            cwd=self.folder / "worktree",
            env=self.env,
            stdin=stdin,
            seconds=CHECK_SECONDS,
        )

    def apply(self, text: str, *options: str) -> None:
        """Apply a patch to the index, whole or not at all. Raises GitError."""
        patch = self.folder / "patch.diff"
        patch.write_bytes(text.encode("utf-8", "surrogateescape"))
        try:
            self._git("apply", "--cached", "--whitespace=nowarn", *options, str(patch))
        except InfraFault as fault:
            # git quotes the patch in its messages: a patch with "no space left on device" in it
            # would else count as a fault of the machine and be tried again for ever.
            if signatures.machine_fault(text.splitlines()) is None:
                raise
            raise GitError("git apply refused it, in words that the patch itself has") from fault
        finally:
            # Left behind by a git that crashed or was stopped.
            (self.folder / "index.lock").unlink(missing_ok=True)

    def reset(self) -> None:
        """Reset the index to the parent's tree, also after a merge with conflicts. Raises
        InfraFault if git can't read the tree: that says nothing about any patch."""
        try:
            self._git("read-tree", "--reset", self.parent)
        except GitError as error:
            place = f"{self.repo}: git read-tree {self.parent[:12]}: {error}"
            raise infra_fault("infra.repository", place, step=WHOLE) from error

    def tree(self) -> dict[str, str]:
        """Return the blob of every file of the parent by path."""
        return listing(self._git("ls-tree", "-r", "-z", self.parent))

    def files(self) -> dict[str, str]:
        """Return the blob of every file of the index by path."""
        return listing(self._git("ls-files", "--stage", "-z"), blob=1)

    def diff(self) -> bytes:
        """Return the diff from the parent to the index."""
        return self._git("diff", "--cached", "--no-color", "--binary", self.parent)

    def foreign(self, blobs: Iterable[str]) -> list[str]:
        """Return the (abbreviated) blob hashes that no file of the parent has."""
        listing = self._git("ls-tree", "-r", self.parent).decode("utf-8", "replace")
        known = [line.split(maxsplit=3)[2] for line in listing.splitlines()]
        return [blob for blob in blobs if not any(k.startswith(blob) for k in known)]

    def changed(self) -> list[Change]:
        """Return the changes against the parent in git's own reading of the patch: another parser
        could take its paths for other files."""
        out = self._git(
            "diff", "--cached", "--raw", "--no-abbrev", "--no-renames", "-z", self.parent
        )
        words = out.decode("utf-8", "surrogateescape").split("\0")
        return [
            Change(path, *meta.lstrip(":").split()[:4])
            for meta, path in zip(words[::2], words[1::2], strict=False)
        ]

    def restore(self, changes: Iterable[Change]) -> None:
        """Restore paths to their content in the parent."""
        lines = [f"{c.old_mode} {c.old_blob}\t{c.path}\0" for c in changes]
        self._git(
            "update-index",
            "-z",
            "--index-info",
            stdin="".join(lines).encode("utf-8", "surrogateescape"),
        )

    def read(self, blob_id: str) -> bytes:
        """Return the content of a blob of the repository or of the index."""
        if blob_id not in self._read:
            self._read[blob_id] = self._git("cat-file", "blob", blob_id)
        return self._read[blob_id]


@contextmanager
def scratch_index(repo: Path, parent: str) -> Iterator[ScratchIndex]:
    """Yield a scratch index on a parent commit and remove it afterwards."""
    with tempfile.TemporaryDirectory(prefix=temporary_prefix()) as folder:
        yield ScratchIndex(repo, parent, Path(folder))
