"""Common parts of all patch sources: a place named in the configuration, and hits in it."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

from msgspec import Meta

from patchbench.patches.normalise import holds_own_copy_only
from patchbench.records import Record
from patchbench.system.contained_file import open_contained

Kind = Literal["runs", "trajectories", "predictions", "folder", "git"]
# One byte more than validation accepts: enough to see that a patch is too large.
READ_LIMIT = 5_000_001
CHUNK = 1 << 20
SHORTEST_HASH = 7


class PatchPlace(Record, frozen=True, kw_only=True):
    """One entry of ``agents.NAME.patches``. The kind decides which options count."""

    kind: Kind
    path: str | None = None
    hub: Annotated[str, Meta(pattern=r"^[\w.-]+/[\w.-]+$", title="OWNER/NAME")] | None = None
    revision: str = "main"
    agent: str | None = None
    model: str | None = None
    repo: str | None = None
    ref: Annotated[
        str,
        Meta(
            pattern="[{]commit(8|12)?[}]",
            title="a name with {commit}, {commit12} or {commit8} in it",
        ),
    ] = "agent/{commit8}"


class PatchQuery(NamedTuple):
    """The task for which a patch is searched."""

    commit: str
    subject: str
    parent: str | None = None


class Content(NamedTuple):
    """Content of a hit: its first READ_LIMIT bytes, and size and sha256 of the whole. ``time`` is
    the hit's, if only the content tells it."""

    head: bytes
    size: int
    sha256: str
    time: str | None = None

    @property
    def is_blank(self) -> bool:
        """True if there is no patch in it, or nothing but a copy of the patch file itself."""
        return not self.head.strip() or holds_own_copy_only(self.head)


class Hit(NamedTuple):
    """A trace of a patch for a commit.

    ``read`` is None if there was a run but its patch is gone; ``empty`` says that the run itself
    reports no patch. ``stamp`` identifies a content that is slow to read. ``time`` is UTC in
    ISO 8601, None if no reliable time is known."""

    source: Kind
    path: str
    read: Callable[[], Content] | None
    time: str | None = None
    note: str = ""
    empty: bool = False
    stamp: str | None = None
    prompt: Path | None = None


class Source(ABC):
    """A place with patches of one agent."""

    def __init__(self, place: PatchPlace) -> None:
        self.place = place

    @property
    def path(self) -> Path:
        """The folder or file that the source reads."""
        return Path(self.place.path or ".")

    @property
    def root(self) -> Path:
        """The folder that no link may lead out of."""
        return self.path

    @abstractmethod
    def hits(self, query: PatchQuery) -> list[Hit]:
        """Return all hits for a commit; among equal times the first is the best."""

    def search_note(self, query: PatchQuery) -> str:
        """Return the text about a search without hits, for the record of a missing patch."""
        return self.problem() or f"{self.path}: nothing for {query.commit[:8]}"

    def strays(self, commits: Collection[str]) -> list[str]:
        """Return files that look like patches of this source but belong to none of the commits, in
        words; none if the source can't tell."""
        return []

    def problem(self) -> str | None:
        """Return the reason why the source holds no patch at all, or None."""
        return None if self.path.is_dir() else f"no folder {self.path}"


def content_of(data: bytes) -> Content:
    """Return the content of bytes in memory."""
    return Content(data[:READ_LIMIT], len(data), hashlib.sha256(data).hexdigest())


def read_file(path: Path, root: Path) -> Content:
    """Read a file of a source, of any size in bounded memory. Raises OSError, for what is no plain
    file of the source too."""
    with open_contained(path, root) as file:
        head = file.read(READ_LIMIT)
        sha, size = hashlib.sha256(head), len(head)
        while chunk := file.read(CHUNK):
            sha.update(chunk)
            size += len(chunk)
    return Content(head, size, sha.hexdigest())


def is_commit(commit: str, abbreviation: str) -> bool:
    """Return True if an abbreviated hash belongs to the commit."""
    return len(abbreviation) >= SHORTEST_HASH and commit.startswith(abbreviation.lower())


def iso(seconds: float) -> str:
    """Return seconds since 1970 as UTC in ISO 8601."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
