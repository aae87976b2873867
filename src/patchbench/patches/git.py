"""git by its command line, with nothing of anyone's: no configuration, attributes, hooks, replaced
objects or environment but ours.

git's own folder is one of ours that holds none of these. Of a repository only the objects are read,
by their hashes: what else lies in it is the work of its owner or of an agent.
"""

from __future__ import annotations

import atexit
import io
import os
import shutil
import signal
import stat
import subprocess
import tarfile
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from patchbench.errors import InfraFault, infra_fault
from patchbench.system.files import temporary_prefix

# What git needs of the caller's environment to be found and to write temporary files.
KEPT = ("PATH", "TMPDIR", "LD_LIBRARY_PATH")
ENVIRONMENT = {
    "HOME": os.devnull,
    "GIT_ATTR_NOSYSTEM": "1",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_SYSTEM": os.devnull,
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_TERMINAL_PROMPT": "0",
    "LC_ALL": "C.UTF-8",
}
# These overrule the .gitattributes of a tree or of a patch (gitattributes(5)): files are read and
# written as they are, every file is archived, and no file is called binary.
ATTRIBUTES = (
    "text", "eol", "crlf", "ident", "filter", "working-tree-encoding", "diff", "merge",
    "whitespace", "export-ignore", "export-subst",
)  # fmt: skip
OWN_CRASHES = (signal.SIGABRT, signal.SIGSEGV, signal.SIGFPE, signal.SIGILL)
# The way out if git can't read what must be there.
WHOLE = "see that the repository is whole, and no disk full (its own, that of temporary files)"
# A check of one patch takes milliseconds; a patch made to take long is refused.
CHECK_SECONDS = 60.0
# Every other call: an archive of a large tree takes seconds.
SECONDS = 900.0


class GitError(Exception):
    """An error of git; the text is its stderr."""


def git(
    *args: str,
    repo: Path | None = None,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    stdin: bytes | None = None,
    seconds: float = SECONDS,
) -> bytes:
    """Run git on the objects of a repository and return its stdout. Raises GitError with git's own
    message or after ``seconds``, InfraFault if the machine is to blame."""
    try:
        done = subprocess.run(
            ["git", *args],
            cwd=cwd,
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            env={**environment(), **(_objects(repo) if repo else {}), **(env or {})},
            timeout=seconds,
        )
    except subprocess.TimeoutExpired as error:
        raise GitError(f"git {args[0]} took longer than {seconds:.0f} s") from error
    if done.returncode == 0:
        return done.stdout
    message = done.stderr.decode(errors="replace").strip()
    # A full disk or a kill says nothing about the patch that git was asked about.
    machine = _machine_fault(message)
    # A crash of git itself (some crafted patches trip its assertions) is an answer, too.
    if machine or (done.returncode < 0 and -done.returncode not in OWN_CRASHES):
        fact = f"exit {done.returncode}: {message[-300:]}"
        raise infra_fault(machine or "infra.killed", f"git {args[0]}", fact)
    raise GitError(message or f"exit {done.returncode}")


def _machine_fault(text: str) -> str | None:
    """Return the cause of a fault of the machine that a text tells of, None if it tells of none."""
    # Imported here: the signatures take a fifth of a job's start, and git seldom fails.
    from patchbench.failures import signatures

    return signatures.machine_fault(text.splitlines())


def environment() -> dict[str, str]:
    """Return the whole environment of git, with a folder of ours as its own."""
    kept = {name: os.environ[name] for name in KEPT if name in os.environ}
    return {"PATH": os.defpath, **kept, **ENVIRONMENT, "GIT_DIR": str(_own_folder())}


def _own_folder() -> Path:
    """Return this process's git folder. It is made where there is none, under a new name: one that
    was swept from a shared folder for temporary files may be another user's by now."""
    folder = _folders.get(os.getpid())
    if folder is None or not _is_ours(folder):
        folder = _folders[os.getpid()] = Path(tempfile.mkdtemp(prefix=temporary_prefix()))
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        for name in ("objects", "refs", "info"):
            (folder / name).mkdir()
        unset = " ".join(f"!{name}" for name in ATTRIBUTES)
        (folder / "info/attributes").write_text(f"* {unset}\n", encoding="utf-8")
        (folder / "HEAD").write_text("ref: refs/heads/none\n", encoding="utf-8")
    return folder


_folders: dict[int, Path] = {}


def _is_ours(folder: Path) -> bool:
    try:
        found = folder.lstat()
        return stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid()
    except OSError:
        return False


def _objects(repo: Path) -> dict[str, str]:
    """Return the variable that makes git read a repository's objects. Raises GitError."""
    objects = repo.resolve() / "objects"
    if not objects.is_dir():
        raise GitError(f"not a git repository: {repo}")
    return {"GIT_OBJECT_DIRECTORY": str(objects)}


@contextmanager
def _readable(repo: Path, what: str) -> Iterator[None]:
    """Turn git's errors about what a repository must have into InfraFault."""
    try:
        yield
    except GitError as error:
        raise infra_fault("infra.repository", f"{repo}: {what}: {error}", step=WHOLE) from error


def peeled(repo: Path, revision: str) -> str | None:
    """Return the full hash of a commit, or None if the repository does not have it. Raises
    GitError."""
    try:
        name = git("rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}", repo=repo)
    except GitError as error:
        if str(error) == "exit 1":  # the only sign of an unknown revision with --quiet
            return None
        raise
    return name.decode().strip()


def commit_id(repo: Path, revision: str) -> str | None:
    """Return the same from the subject's repository. Raises InfraFault."""
    with _readable(repo, f"git rev-parse {revision}"):
        return peeled(repo, revision)


PLAIN = ("--no-color", "--no-ext-diff", "--no-textconv", "--binary")


def diff(repo: Path, old: str, new: str) -> bytes:
    """Return the change from one commit to another, binary files included. Raises GitError."""
    return git("diff", *PLAIN, old, new, repo=repo)


def own_diff(repo: Path, old: str, new: str) -> bytes:
    """Return the same from the subject's repository, which must have both: raises InfraFault."""
    with _readable(repo, f"git diff {old[:12]} {new[:12]}"):
        return diff(repo, old, new)


def commit_time(repo: Path, commit: str) -> float:
    """Return the time of a commit, seconds since the epoch. Raises GitError."""
    return float(git("log", "-1", "--format=%ct", commit, repo=repo))


def extract(repo: Path, revision: str, folder: Path) -> None:
    """Unpack a revision's files into a folder, without history."""
    with _readable(repo, f"git archive {revision[:12]}"):
        archive = git("archive", "--format=tar", revision, repo=repo)
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        tar.extractall(folder, filter="data")


def archive(repo: Path, revision: str, target: Path, *, prefix: str) -> None:
    """Write a revision's files as a tar archive, each name with a prefix."""
    words = "archive", "--format=tar", f"--prefix={prefix}", f"--output={target.absolute()}"
    with _readable(repo, f"git archive {revision[:12]}"):
        git(*words, revision, repo=repo)


def apply(folder: Path, patch: Path, *options: str) -> None:
    """Apply a patch to plain files. Raises GitError. (The folder is given as the work tree: below
    another one ``git apply`` would silently skip every path outside its prefix.)"""
    words = "apply", "--whitespace=nowarn", *options, str(patch.resolve())
    git(*words, cwd=folder, env={"GIT_WORK_TREE": str(folder.resolve())})


def listing(output: bytes, blob: int = 2) -> dict[str, str]:
    """Return blobs by path, from the output of ``ls-tree -z`` or ``ls-files --stage -z``."""
    out = {}
    for line in output.decode("utf-8", "surrogateescape").split("\0"):
        meta, tab, path = line.partition("\t")
        if tab:
            out[path] = meta.split()[blob]
    return out


def _quoted(path: Path) -> str:
    """Return a path for a list of paths that git splits at colons."""
    text = str(path).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"'


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
            "GIT_ALTERNATE_OBJECT_DIRECTORIES": _quoted(self.repo / "objects"),
        }
        self.reset()
        self._read: dict[str, bytes] = {}

    def _git(self, *args: str, stdin: bytes | None = None) -> bytes:
        place = self.folder / "worktree"
        return git(*args, cwd=place, env=self.env, stdin=stdin, seconds=CHECK_SECONDS)

    def apply(self, text: str, *options: str) -> None:
        """Apply a patch to the index, whole or not at all. Raises GitError."""
        patch = self.folder / "patch.diff"
        patch.write_bytes(text.encode("utf-8", "surrogateescape"))
        try:
            self._git("apply", "--cached", "--whitespace=nowarn", *options, str(patch))
        except InfraFault as fault:
            # git quotes the patch in its messages: a patch with "no space left on device" in it
            # would else count as a fault of the machine and be tried again for ever.
            if _machine_fault(text) is None:
                raise
            raise GitError("git apply refused it, in words that the patch itself has") from fault
        finally:
            # Left behind by a git that crashed or was stopped.
            (self.folder / "index.lock").unlink(missing_ok=True)

    def reset(self) -> None:
        """Reset the index to the parent's tree, also after a merge with conflicts. Raises
        InfraFault if git can't read the tree: that says nothing about any patch."""
        with _readable(self.repo, f"git read-tree {self.parent[:12]}"):
            self._git("read-tree", "--reset", self.parent)

    def tree(self) -> dict[str, str]:
        """Return the blob of every file of the parent by path."""
        return listing(self._git("ls-tree", "-r", "-z", self.parent))

    def files(self) -> dict[str, str]:
        """Return the blob of every file of the index by path."""
        return listing(self._git("ls-files", "--stage", "-z"), blob=1)

    def diff(self) -> bytes:
        """Return the diff from the parent to the index."""
        return self._git("diff", "--cached", *PLAIN, self.parent)

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
