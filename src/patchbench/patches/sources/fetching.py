"""Choice of one patch from all sources: the newest that isn't blank, of the most trusted source
that has one. All hits and any disagreement are recorded."""

from __future__ import annotations

import errno
import functools
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from patchbench.errors import BadInput
from patchbench.patches import git
from patchbench.patches.refusal import printable
from patchbench.patches.sources.agent_repository import packed
from patchbench.patches.sources.base import (
    Content,
    Hit,
    Kind,
    PatchPlace,
    PatchQuery,
    Source,
    content_of,
)
from patchbench.patches.sources.branches import Branches, ref, refusal
from patchbench.patches.sources.folder import Folder
from patchbench.patches.sources.predictions import Predictions, lines
from patchbench.patches.sources.runs import Runs, items
from patchbench.patches.sources.trajectories import Trajectories, commit_folders, snapshot
from patchbench.records import HUMAN, Candidate, Evidence, Fetched, Task, WhyMissing

KINDS: dict[Kind, type[Source]] = {
    "runs": Runs,
    "trajectories": Trajectories,
    "predictions": Predictions,
    "folder": Folder,
    "git": Branches,
}
# A folder's path, or places in order of trust.
Patches = str | Path | Sequence[PatchPlace]
# What "fingerprint" says of no patch, and of one that is there but can't be read for a reason that
# is the machine's: its owner, its disk, its file server.
MISSING, UNREADABLE = "missing", "unreadable"
OF_THE_MACHINE = (
    errno.EACCES, errno.EPERM, errno.EIO, errno.ESTALE, errno.ETIMEDOUT, errno.ENOTCONN,
    errno.EHOSTDOWN,
)  # fmt: skip
CACHES = (items, commit_folders, snapshot, lines, packed, ref, refusal)


class LoadedHit(NamedTuple):
    """A hit with its content; None if it can't be read."""

    hit: Hit
    content: Content | None

    @property
    def has_patch(self) -> bool:
        """True if the content is not blank."""
        return self.content is not None and not self.content.is_blank


def parse(text: str) -> Patches:
    """Parse sources from a command line: a folder, or a JSON list of places. Raises BadInput."""
    if not text.lstrip().startswith("["):
        return text
    try:
        return msgspec.json.decode(text, type=tuple[PatchPlace, ...])
    except msgspec.MsgspecError as error:
        raise BadInput(f"--patches: {error}") from error


def as_text(patches: Patches) -> str:
    """Return sources as text for a command line, the inverse of ``parse``."""
    if isinstance(patches, str | Path):
        return str(patches)
    return msgspec.json.encode(tuple(patches)).decode()


def open_sources(patches: Patches) -> tuple[Source, ...]:
    """Return the sources of an agent in order of trust. Raises BadInput."""
    if isinstance(patches, str | Path):
        patches = (PatchPlace(kind="folder", path=str(patches)),)
    return tuple(map(_open, patches))


@functools.cache
def _open(place: PatchPlace) -> Source:
    hub = place.kind == "trajectories" and place.hub is not None
    if place.path is None and not hub:
        also = " or hub: OWNER/NAME" if place.kind == "trajectories" else ""
        raise BadInput(f"patches: a source of kind {place.kind} needs path: PLACE{also}")
    return KINDS[place.kind](place)


def forget() -> None:
    """Clear the caches: each place is read only once per process."""
    for cache in CACHES:
        cache.cache_clear()


def problems(patches: Patches) -> list[str]:
    """Return the reasons why places hold no patch at all. Raises BadInput for an unreachable
    hub."""
    sources = open_sources(patches)
    reasons = [reason for source in sources if (reason := source.problem())]
    effect = "its coverage is 0" if len(reasons) == len(sources) else "it gives no patch"
    return [f"{reason}, so {effect}" for reason in reasons]


def away(patches: Patches) -> tuple[str, ...]:
    """Return the places that can't be read at all now. Raises BadInput."""
    return tuple(str(source.path) for source in open_sources(patches) if source.problem())


def strays(patches: Patches, commits: Collection[str]) -> list[str]:
    """Return files in an agent's places that belong to none of the commits, in words."""
    return [text for source in open_sources(patches) for text in source.strays(commits)]


def newest_first(source: Source, query: PatchQuery) -> list[Hit]:
    """Return a source's hits, the newest first; equal times keep the source's own order."""
    return sorted(source.hits(query), key=lambda hit: hit.time or "", reverse=True)


def load(hit: Hit) -> LoadedHit:
    """Read a hit. A file that can't be read counts as lost, with the reason in the note."""
    try:
        content = hit.read() if hit.read else None
        return LoadedHit(
            hit._replace(time=content.time) if content and content.time else hit, content
        )
    except (OSError, git.GitError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        return LoadedHit(hit._replace(read=None, note=reason), None)


def fingerprint(patches: Patches, query: PatchQuery) -> str:
    """Return an identifier of the patch that ``fetch`` would choose, quickly enough for planning;
    "missing" without a patch, "unreadable" if the machine refuses to read one."""
    blank = None
    for source in open_sources(patches):
        for hit in newest_first(source, query):
            if hit.stamp is not None:
                return hit.stamp[:20]
            try:
                content = hit.read() if hit.read else None
            except (OSError, git.GitError) as error:
                if getattr(error, "errno", None) in OF_THE_MACHINE:
                    return UNREADABLE
                continue
            if content is not None and not content.is_blank:
                return content.sha256[:16]
            if content is not None:
                blank = blank or content.sha256[:16]
    return blank or MISSING


def fetch(
    task: Task, arm: str, patches: Patches | None, repo: Path | None
) -> tuple[Fetched, bytes]:
    """Fetch an arm's patch: the record of all hits, and the bytes (empty if there is none). The
    human's patch comes from ``repo``."""
    if arm == HUMAN:
        assert repo is not None and task.parent is not None
        path = f"git diff {task.parent[:12]} {task.commit[:12]}"
        content = content_of(git.own_diff(repo, task.parent, task.commit))
        return _record(task, arm, [LoadedHit(Hit("git", path, lambda: content), content)], [])
    assert patches is not None
    query = PatchQuery(task.commit, task.subject.name, task.parent)
    sources = open_sources(patches)
    hits = [load(hit) for source in sources for hit in newest_first(source, query)]
    return _record(task, arm, hits, [source.search_note(query) for source in sources])


def _record(task: Task, arm: str, hits: list[LoadedHit], notes: list[str]) -> tuple[Fetched, bytes]:
    best = next((h for h in hits if h.has_patch), None) or next(
        (h for h in hits if h.content), None
    )
    if best is not None:
        hits = [best, *(h for h in hits if h is not best)]
    has_patch = best is not None and best.has_patch
    why = None if has_patch else _why_missing(hits)
    cause = None if has_patch else ("patch.empty" if best else "patch.missing")
    conflicts = [h for h in hits[1:] if has_patch and h.has_patch and _differs(h, hits[0])]
    content = best.content if best else None
    missing = [Candidate(source="none", path=printable(note), found=False) for note in notes]
    record = Fetched(
        stage="fetch_patch",
        commit=task.commit,
        arm=arm,
        status="failed" if cause else "ok",
        cause=cause,
        evidence=Evidence(text=_evidence(why, hits, notes)) if why else None,
        candidates=tuple(map(_candidate, hits) if hits else missing),
        source=best.hit.source if best else None,
        sha256=content.sha256 if content else None,
        size=content.size if content else 0,
        conflict=bool(conflicts),
        conflicts=tuple(map(_description, conflicts)),
        why_missing=why,
        prompt=str(best.hit.prompt) if best and best.hit.prompt else None,
    )
    return record, content.head if content else b""


def _differs(one: LoadedHit, two: LoadedHit) -> bool:
    """Return True if two patches differ in more than white space around them."""
    assert one.content and two.content
    same = one.content.sha256 == two.content.sha256
    return not same and one.content.head.strip() != two.content.head.strip()


def _why_missing(hits: list[LoadedHit]) -> WhyMissing:
    """Return "lost" if a run's patch is gone, "empty" if runs delivered nothing, else
    "never_ran"."""
    if any(h.content is None and not h.hit.empty for h in hits):
        return "lost"
    return "empty" if hits else "never_ran"


def _evidence(why: str, hits: list[LoadedHit], notes: list[str]) -> str:
    lines_ = [
        f"{h.hit.path}: {'no file' if h.content is None else f'{h.content.size} bytes'}"
        + (f" ({h.hit.note})" if h.hit.note else "")
        for h in hits
    ]
    return printable(f"{why}: {'; '.join(lines_ or notes)}")


def _candidate(loaded: LoadedHit) -> Candidate:
    content = loaded.content
    return Candidate(
        source=loaded.hit.source,
        path=printable(loaded.hit.path),
        found=content is not None,
        sha256=content.sha256 if content else None,
        size=content.size if content else None,
        time=loaded.hit.time,
        note=loaded.hit.note,
    )


def _description(loaded: LoadedHit) -> str:
    assert loaded.content is not None
    when = f", {loaded.hit.time}" if loaded.hit.time else ""
    text = f"{loaded.hit.path} ({loaded.content.sha256[:8]}, {loaded.content.size} bytes{when})"
    return printable(text)
