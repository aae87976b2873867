"""Read files of one commit from a bare repository."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from patchbench.patches import git


class Place(NamedTuple):
    """A line of a file, as evidence; lines count from 1."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


class Tree:
    """The files of one commit. Each is read once; many are read with one call of git."""

    def __init__(self, files: Mapping[str, str | None], paths: Sequence[str] = ()) -> None:
        self._files = dict(files)
        present = [path for path, text in files.items() if text is not None]
        self._paths = frozenset(paths or present)

    @classmethod
    def of_commit(cls, repo: Path, commit: str, wanted: Sequence[str]) -> Tree:
        """Return the commit's tree with the wanted files read; absent files are None.

        Raises git.GitError if the repository does not know the commit.
        """
        return cls(read_files(repo, commit, wanted), list_paths(repo, commit))

    @property
    def paths(self) -> frozenset[str]:
        """Return every path of the commit, also those whose text was not read."""
        return self._paths

    def has(self, path: str) -> bool:
        """Return True if the commit has the file."""
        return path in self._paths

    def text(self, path: str) -> str | None:
        """Return a file's text, or None if the commit lacks it.

        Raises KeyError for a file of the commit that was not read: the caller forgot to want it.
        """
        return self._files[path] if path in self._files or self.has(path) else None


def nodes(text: str) -> list[ast.AST]:
    """Return all nodes of a source's syntax tree, none if this Python can't parse it. That takes
    up to 0.1 s: what is found in a text is kept, for neighbouring parents share most files."""
    try:
        with warnings.catch_warnings(action="ignore"):
            return list(ast.walk(ast.parse(text)))
    except (SyntaxError, ValueError):
        return []


def list_paths(repo: Path, commit: str) -> tuple[str, ...]:
    """Return the paths of all files of a commit, as git orders them."""
    out = git.git("ls-tree", "-r", "-z", "--name-only", commit, repo=repo)
    return tuple(path for path in out.decode("utf-8", "surrogateescape").split("\0") if path)


def read_files(repo: Path, commit: str, paths: Sequence[str]) -> dict[str, str | None]:
    """Return the texts of files of a commit by path, None for those that it lacks.

    Format: `git cat-file --batch` answers "HASH TYPE SIZE", the content and a line end per line
    of input, or "NAME missing".
    """
    asked = "".join(f"{commit}:{path}\n" for path in paths).encode()
    out = git.git("cat-file", "--batch", repo=repo, stdin=asked)
    texts: dict[str, str | None] = {}
    start = 0
    for path in paths:
        head, start = _line(out, start)
        if head.endswith(b"missing"):
            texts[path] = None
            continue
        size = int(head.rsplit(b" ", 1)[1])
        texts[path] = out[start : start + size].decode("utf-8", "replace")
        start += size + 1
    return texts


def _line(data: bytes, start: int) -> tuple[bytes, int]:
    end = data.index(b"\n", start)
    return data[start:end], end + 1
