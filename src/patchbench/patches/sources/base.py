"""What all patch sources have in common: a place named in the configuration, and what lies there
for one commit."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, NamedTuple

from patchbench.records import Record

Kind = Literal["runs", "trajectories", "predictions", "folder", "git"]
# No more of a patch is ever read or kept than shows that it is too large to be one.
READ_LIMIT = 5_000_001
CHUNK = 1 << 20
SHORTEST = 7


class Where(Record, frozen=True, kw_only=True):
    """One entry of ``agents.NAME.patches``. Which options count depends on the kind."""

    kind: Kind
    path: str | None = None
    hub: str | None = None
    revision: str = "main"
    agent: str | None = None
    model: str | None = None
    repo: str | None = None
    ref: str = "agent/{commit8}"


class Wanted(NamedTuple):
    """The task that a patch is looked for."""

    commit: str
    subject: str
    parent: str | None = None


class Content(NamedTuple):
    """What a hit holds: its first bytes, and size and sha256 of all of it."""

    head: bytes
    size: int
    sha256: str

    @property
    def blank(self) -> bool:
        """Whether there is no patch in it."""
        return not self.head.strip()


class Hit(NamedTuple):
    """A trace of a patch for a commit. Without ``read`` there was a run, but its patch is gone;
    ``empty`` says that the run itself reports none. ``stamp`` stands for the content where that
    is dear to get. ``time`` is UTC in ISO 8601, None where none can be trusted."""

    source: Kind
    path: str
    read: Callable[[], Content] | None
    time: str | None = None
    note: str = ""
    empty: bool = False
    stamp: str | None = None
    prompt: Path | None = None


class Source(ABC):
    """A place where one agent's patches lie."""

    def __init__(self, where: Where) -> None:
        self.where = where

    @property
    def place(self) -> Path:
        """The folder or file that the source reads."""
        return Path(self.where.path or ".")

    @abstractmethod
    def candidates(self, wanted: Wanted) -> list[Hit]:
        """Everything about a commit, best first where times don't tell."""

    def looked_for(self, wanted: Wanted) -> str:
        """What was looked for in vain, for the record of a missing patch."""
        if problem := self.problem():
            return problem
        return f"{self.place}: nothing for {wanted.commit[:8]}"

    def problem(self) -> str | None:
        """Why the whole source can give nothing, if so."""
        return None if self.place.is_dir() else f"no folder {self.place}"


def content_of(data: bytes) -> Content:
    """A content that is in memory anyway."""
    return Content(data[:READ_LIMIT], len(data), hashlib.sha256(data).hexdigest())


def read_file(path: Path) -> Content:
    """A file's content, however large, without holding more of it than is needed."""
    with path.open("rb") as file:
        head = file.read(READ_LIMIT)
        seen, size = hashlib.sha256(head), len(head)
        while chunk := file.read(CHUNK):
            seen.update(chunk)
            size += len(chunk)
    return Content(head, size, seen.hexdigest())


def same_commit(commit: str, known: str) -> bool:
    """Whether an abbreviated hash is this commit's."""
    return len(known) >= SHORTEST and commit.startswith(known.lower())


def iso(seconds: float) -> str:
    """Seconds since 1970 as UTC in ISO 8601."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
