"""Run folders of ISO-Bench: ``<repo>/<agent>/<model>/<timestamp>/<item>/``, and older flat ones.
Few items have the commit in their name; run_summary.json or journal.json names it."""

from __future__ import annotations

import fnmatch
import functools
import os
import re
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from patchbench.patches.sources.base import (
    SHORTEST_HASH,
    Content,
    Hit,
    PatchQuery,
    Source,
    content_of,
    is_commit,
    iso,
    read_file,
)
from patchbench.system.contained_file import is_contained, open_contained

PATCH, PREDICTION = "model_patch.diff", "prediction.jsonl"
SUMMARY, JOURNAL = "run_summary.json", "journal.json"
ITEM_FILES = {PATCH, PREDICTION, SUMMARY, JOURNAL}
PROMPTS = ("prompt.json", "task.txt")
TIMESTAMP = re.compile(r"(\d{4}-\d{2}-\d{2})_(\d{2})-(\d{2})-(\d{2})")
HASH_AT_END = re.compile(r"(?:^|[^0-9a-z])([0-9a-f]{7,40})$")
MAX_JSON, MAX_LINE = 5_000_000, 50_000_000


class Item(NamedTuple):
    """One run of one agent on one commit. ``words`` are names of its agent, model and repository,
    from its own records and the folders below the place: the place's own path says nothing;
    ``generated`` says if the run reports a patch."""

    folder: Path
    files: frozenset[str]
    commit: str
    words: frozenset[str]
    time: str
    generated: bool | None


class Runs(Source):
    """All items below a folder."""

    def hits(self, query: PatchQuery) -> list[Hit]:
        items_ = items(self.path).get(query.commit[:SHORTEST_HASH], ())
        return [
            hit
            for item in items_
            if is_commit(query.commit, item.commit) and self._matches(item)
            for hit in item_hits(item, self.root)
        ]

    def _matches(self, item: Item) -> bool:
        place = self.place
        return all(
            name is None or any(same(word, name) for word in item.words)
            for name, same in (
                (place.agent, _is_like),
                (place.model, _is_like),
                (place.repo, _is_repo),
            )
        )


def _is_like(word: str, pattern: str) -> bool:
    """Return True if a name matches a pattern such as `*sonnet*`: names of models vary."""
    return fnmatch.fnmatchcase(word.lower(), pattern.lower())


def _is_repo(word: str, repo: str) -> bool:
    """Return True for the repository's name with at most one letter missing or added: some
    published folders are misspelt (`sglan`)."""
    return word == repo or (
        len(word) >= 4
        and abs(len(word) - len(repo)) <= 1
        and (repo.startswith(word) or word.startswith(repo))
    )


@functools.cache
def items(root: Path) -> dict[str, list[Item]]:
    """Return all items below a folder by the first characters of their commit."""
    out: dict[str, list[Item]] = {}
    for folder, folders, files in os.walk(root):
        folders.sort()
        if ITEM_FILES.isdisjoint(files):
            continue
        item = read_item(root, Path(folder), frozenset(files))
        if item is not None:
            out.setdefault(item.commit[:SHORTEST_HASH], []).append(item)
            folders.clear()
    return out


def read_item(root: Path, folder: Path, files: frozenset[str]) -> Item | None:
    """Read the records of an item; None if none names a commit."""
    summary = _json(folder / SUMMARY, root) if SUMMARY in files else {}
    journal = _json(folder / JOURNAL, root) if JOURNAL in files else {}
    parts = folder.relative_to(root).parts[:-1]
    meta, agent = _part(summary, "meta"), _part(summary, "agent")
    texts = (
        _part(summary, "commits").get("human"),
        _part(journal, "commits").get("human"),
        journal.get("agent_branch"),
        _first_line(folder / PREDICTION, root).instance_id if PREDICTION in files else None,
        folder.name,
    )
    commit = next((c for text in texts if (c := _hash(text))), None)
    if commit is None:
        return None
    words = {str(meta[key]) for key in ("repo", "agent", "model", "model_full") if meta.get(key)}
    generated = agent.get("patch_generated")
    return Item(
        folder,
        files,
        commit,
        frozenset(words | {*parts}),
        _time(folder, parts, meta, journal),
        generated if isinstance(generated, bool) else None,
    )


def item_hits(item: Item, root: Path) -> list[Hit]:
    """Return the patches of an item: its diff and its prediction, or a hit without content."""
    prompts = (item.folder / name for name in PROMPTS if name in item.files)
    prompt = next((file for file in prompts if is_contained(file, root)), None)
    out = []
    if PATCH in item.files:
        path = item.folder / PATCH
        note = "run_summary.json says that a patch was made" if item.generated else ""
        read = partial(read_file, path, root)
        out.append(Hit("runs", str(path), read, item.time, note, prompt=prompt))
    if PREDICTION in item.files:
        path = item.folder / PREDICTION
        out.append(
            Hit("runs", str(path), partial(_prediction, path, root), item.time, prompt=prompt)
        )
    if out:
        return out
    none = item.generated is False
    note = "the run reports no patch" if none else "a run without a patch file"
    if item.generated:
        note = "run_summary.json says that a patch was made, but there is no file"
    return [Hit("runs", str(item.folder), None, item.time, note, empty=none)]


def _time(
    folder: Path, parts: tuple[str, ...], meta: dict[str, Any], journal: dict[str, Any]
) -> str:
    """Return the time of a run from its timestamp folder, its journal, or the folder itself."""
    for text in (*reversed(parts), str(meta.get("timestamp", ""))):
        if match := TIMESTAMP.fullmatch(text):
            return f"{match[1]}T{match[2]}:{match[3]}:{match[4]}"
    written = _part(journal, "timestamps").get("written")
    return iso(written if isinstance(written, int | float) else folder.stat().st_mtime)


def _hash(text: object) -> str | None:
    """Return the commit hash at the end of a text, or None."""
    match = HASH_AT_END.search(text.lower()) if isinstance(text, str) else None
    return match[1] if match else None


def _part(record: dict[str, Any], key: str) -> dict[str, Any]:
    value = record.get(key)
    return value if isinstance(value, dict) else {}


def _json(path: Path, root: Path) -> dict[str, Any]:
    """Read a record of a run; empty if it can't be read."""
    try:
        with open_contained(path, root) as file:
            loaded = msgspec.json.decode(file.read(MAX_JSON))
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        return {}
    return loaded if isinstance(loaded, dict) else {}


class _Line(msgspec.Struct):
    instance_id: str = ""
    model_patch: str | None = None


def _first_line(path: Path, root: Path) -> _Line:
    try:
        with open_contained(path, root) as file:
            return msgspec.json.decode(file.readline(MAX_LINE), type=_Line)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        return _Line()


def _prediction(path: Path, root: Path) -> Content:
    text = _first_line(path, root).model_patch or ""
    return content_of(text.encode("utf-8", "surrogateescape"))
