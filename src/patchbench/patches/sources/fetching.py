"""Choosing one patch out of all sources: the newest that isn't blank, of the most trusted source
that has one. Everything seen is recorded, and so is any disagreement."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from patchbench.errors import BadInput
from patchbench.patches import git
from patchbench.patches.refusal import printable
from patchbench.patches.sources import branches, predictions, runs, trajectories
from patchbench.patches.sources.base import Content, Hit, Kind, Source, Wanted, Where, content_of
from patchbench.patches.sources.branches import Branches
from patchbench.patches.sources.folder import Folder
from patchbench.patches.sources.predictions import Predictions
from patchbench.patches.sources.runs import Runs
from patchbench.patches.sources.trajectories import Trajectories
from patchbench.records import HUMAN, Candidate, Evidence, Fetched, Task, WhyMissing
from patchbench.system.files import digest

KINDS: dict[Kind, type[Source]] = {
    "runs": Runs,
    "trajectories": Trajectories,
    "predictions": Predictions,
    "folder": Folder,
    "git": Branches,
}
# A folder's path, or places in order of trust.
Patches = str | Path | Sequence[Where]
CACHES = (runs._ITEMS, trajectories._FOLDERS, trajectories._SNAPSHOTS, predictions._LINES,
          branches._REFS)  # fmt: skip


class Seen(NamedTuple):
    """A hit and what it holds."""

    hit: Hit
    content: Content | None

    @property
    def usable(self) -> bool:
        """Whether there is a patch in it."""
        return self.content is not None and not self.content.blank


def parse(text: str) -> Patches:
    """Sources as they stand on a command line: a folder, or a JSON list of places."""
    if not text.lstrip().startswith("["):
        return text
    try:
        return msgspec.json.decode(text, type=tuple[Where, ...])
    except msgspec.MsgspecError as error:
        raise BadInput(f"--patches: {error}") from error


def as_text(patches: Patches) -> str:
    """The same way back."""
    if isinstance(patches, str | Path):
        return str(patches)
    return msgspec.json.encode(tuple(patches)).decode()


def open_sources(patches: Patches) -> tuple[Source, ...]:
    """The sources of an agent, in order of trust."""
    if isinstance(patches, str | Path):
        patches = (Where(kind="folder", path=str(patches)),)
    return tuple(_open(where) for where in patches)


@functools.cache
def _open_text(text: bytes) -> Source:
    where = msgspec.json.decode(text, type=Where)
    hub = where.kind == "trajectories" and where.hub is not None
    if where.path is None and not hub:
        also = " or hub: OWNER/NAME" if where.kind == "trajectories" else ""
        raise BadInput(f"patches: a source of kind {where.kind} needs path: PLACE{also}")
    return KINDS[where.kind](where)


def _open(where: Where) -> Source:
    return _open_text(msgspec.json.encode(where))


def forget() -> None:
    """Look at every place anew: each is read only once per process."""
    for cache in CACHES:
        cache.clear()


def problems(patches: Patches) -> list[str]:
    """Places that can give no patch at all, in words. Raises BadInput for a hub that can't
    be reached."""
    sources = open_sources(patches)
    found = [text for source in sources if (text := source.problem())]
    so = "so its coverage is 0" if len(found) == len(sources) else "so it gives no patch"
    return [f"{text}, {so}" for text in found]


def ranked(source: Source, wanted: Wanted) -> list[Hit]:
    """A source's hits, the newest first; among equals the source's own order holds."""
    return sorted(source.candidates(wanted), key=lambda hit: hit.time or "", reverse=True)


def look(hit: Hit) -> Seen:
    """A hit with its content; a file that can't be read is as good as lost."""
    try:
        return Seen(hit, hit.read() if hit.read else None)
    except (OSError, git.GitError) as error:
        said = getattr(error, "strerror", None) or str(error)
        return Seen(hit._replace(read=None, note=said), None)


def fingerprint(patches: Patches, wanted: Wanted) -> str:
    """What the patch that ``fetch`` would take is made from; cheap, for the time of planning."""
    blank = None
    for source in open_sources(patches):
        for hit in ranked(source, wanted):
            if hit.stamp is not None:
                return hit.stamp[:20]
            seen = look(hit)
            if seen.usable and seen.content:
                return seen.content.sha256[:16]
            if seen.content is not None:
                blank = blank or seen.content.sha256[:16]
    return blank or "missing"


def fetch(
    task: Task, arm: str, patches: Patches | None, repo: Path | None
) -> tuple[Fetched, bytes]:
    """Get an arm's patch: the record of what was seen, and the bytes (empty if there is none)."""
    if arm == HUMAN:
        assert repo is not None and task.parent is not None
        path = f"git diff {task.parent[:12]} {task.commit[:12]}"
        content = content_of(git.diff(repo, task.parent, task.commit))
        return _record(task, arm, [Seen(Hit("git", path, lambda: content), content)], [])
    assert patches is not None
    wanted = Wanted(task.commit, task.subject.name, task.parent)
    sources = open_sources(patches)
    seen = [look(hit) for source in sources for hit in ranked(source, wanted)]
    return _record(task, arm, seen, [source.looked_for(wanted) for source in sources])


def _record(
    task: Task, arm: str, seen: list[Seen], in_vain: Iterable[str]
) -> tuple[Fetched, bytes]:
    taken = next((s for s in seen if s.usable), None) or next((s for s in seen if s.content), None)
    if taken is not None:
        seen = [taken, *(s for s in seen if s is not taken)]
    usable = taken is not None and taken.usable
    why = None if usable else _why_missing(seen)
    cause = None if usable else ("patch.empty" if taken else "patch.missing")
    other = [s for s in seen[1:] if usable and s.usable and _differs(s, seen[0])]
    content = taken.content if taken else None
    record = Fetched(
        stage="fetch_patch",
        commit=task.commit,
        arm=arm,
        status="failed" if cause else "ok",
        cause=cause,
        evidence=Evidence(text=_evidence(why, seen, in_vain)) if why else None,
        candidates=tuple(map(_candidate, seen)) or _nothing(in_vain, task.commit),
        source=taken.hit.source if taken else None,
        sha256=content.sha256 if content else None,
        size=content.size if content else 0,
        conflict=bool(other),
        conflicts=tuple(_named(s) for s in other),
        why_missing=why,
        prompt=str(taken.hit.prompt) if taken and taken.hit.prompt else None,
    )
    return record, content.head if content else b""


def _differs(one: Seen, two: Seen) -> bool:
    """Whether two patches say different things; white space around them is transport's."""
    assert one.content and two.content
    if one.content.sha256 == two.content.sha256:
        return False
    return digest(one.content.head.strip()) != digest(two.content.head.strip())


def _why_missing(seen: list[Seen]) -> WhyMissing:
    """Lost if a run's patch is gone, empty if runs delivered nothing, else nobody ever ran."""
    if any(s.content is None and not s.hit.empty for s in seen):
        return "lost"
    return "empty" if seen else "never_ran"


def _evidence(why: str, seen: list[Seen], in_vain: Iterable[str]) -> str:
    told = [
        f"{s.hit.path}: {'no file' if s.content is None else f'{s.content.size} bytes'}"
        + (f" ({s.hit.note})" if s.hit.note else "")
        for s in seen
    ]
    return printable(f"{why}: {'; '.join(told or in_vain)}")


def _candidate(seen: Seen) -> Candidate:
    content = seen.content
    return Candidate(
        source=seen.hit.source,
        path=printable(seen.hit.path),
        found=content is not None,
        sha256=content.sha256 if content else None,
        size=content.size if content else None,
        time=seen.hit.time,
        note=seen.hit.note,
    )


def _nothing(in_vain: Iterable[str], commit: str) -> tuple[Candidate, ...]:
    return tuple(Candidate(source="none", path=printable(text), found=False) for text in in_vain)


def _named(seen: Seen) -> str:
    assert seen.content is not None
    when = f", {seen.hit.time}" if seen.hit.time else ""
    text = f"{seen.hit.path} ({seen.content.sha256[:8]}, {seen.content.size} bytes{when})"
    return printable(text)
