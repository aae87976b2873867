"""The predecessor's run folders: ``<repo>/<agent>/<model>/<timestamp>/<item>/``, and older flat
ones. An item's name seldom says its commit; its run_summary.json or journal.json does."""

from __future__ import annotations

import fnmatch
import os
import re
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from patchbench.patches.sources.base import (
    SHORTEST,
    Content,
    Hit,
    Source,
    Wanted,
    content_of,
    iso,
    read_file,
    same_commit,
)

PATCH, PREDICTION = "model_patch.diff", "prediction.jsonl"
SUMMARY, JOURNAL = "run_summary.json", "journal.json"
MARKS = {PATCH, PREDICTION, SUMMARY, JOURNAL}
PROMPTS = ("prompt.json", "task.txt")
TIMESTAMP = re.compile(r"(\d{4}-\d{2}-\d{2})_(\d{2})-(\d{2})-(\d{2})")
HASH_AT_END = re.compile(r"(?:^|[^0-9a-z])([0-9a-f]{7,40})$")
MAX_JSON = 5_000_000


class Item(NamedTuple):
    """One run of one agent on one commit, as its folder tells it."""

    folder: Path
    files: frozenset[str]
    commit: str
    words: frozenset[str]
    time: str
    generated: bool | None


class Runs(Source):
    """All items below a folder, found in one walk per process."""

    def candidates(self, wanted: Wanted) -> list[Hit]:
        mine = [
            item
            for item in items(self.place).get(wanted.commit[:SHORTEST], ())
            if same_commit(wanted.commit, item.commit) and self._is_of(item)
        ]
        return [hit for item in mine for hit in hits(item)]

    def _is_of(self, item: Item) -> bool:
        where = self.where
        return all(
            wanted is None or any(same(word, wanted) for word in item.words)
            for wanted, same in (
                (where.agent, _like),
                (where.model, _like),
                (where.repo, _same_repo),
            )
        )


def _like(word: str, wanted: str) -> bool:
    """Whether a name is meant: models' names differ from run to run, so `*sonnet*` may be said."""
    return fnmatch.fnmatchcase(word.lower(), wanted.lower())


def _same_repo(word: str, wanted: str) -> bool:
    """Folders of repositories are misspelt now and then: `sglan` is sglang's."""
    return word == wanted or (
        len(word) >= 4
        and abs(len(word) - len(wanted)) <= 1
        and (wanted.startswith(word) or word.startswith(wanted))
    )


_ITEMS: dict[Path, dict[str, list[Item]]] = {}


def items(root: Path) -> dict[str, list[Item]]:
    """All items below a folder by the first characters of their commit."""
    key = root.resolve()
    if key not in _ITEMS:
        found: dict[str, list[Item]] = {}
        for folder, folders, files in os.walk(root):
            folders.sort()
            if MARKS.isdisjoint(files):
                continue
            item = read_item(root, Path(folder), frozenset(files))
            if item is not None:
                found.setdefault(item.commit[:SHORTEST], []).append(item)
                folders.clear()
        _ITEMS[key] = found
    return _ITEMS[key]


def read_item(root: Path, folder: Path, files: frozenset[str]) -> Item | None:
    """What an item's records say; None if none says which commit it is about."""
    summary = _json(folder / SUMMARY) if SUMMARY in files else {}
    journal = _json(folder / JOURNAL) if JOURNAL in files else {}
    parts = folder.relative_to(root).parts[:-1]
    meta, agent = _part(summary, "meta"), _part(summary, "agent")
    told = (
        _part(summary, "commits").get("human"),
        _part(journal, "commits").get("human"),
        journal.get("agent_branch"),
        _instance(folder / PREDICTION) if PREDICTION in files else None,
        folder.name,
    )
    commit = next((c for text in told if (c := _hash(text))), None)
    if commit is None:
        return None
    words = {str(meta[key]) for key in ("repo", "agent", "model", "model_full") if meta.get(key)}
    generated = agent.get("patch_generated")
    return Item(
        folder,
        files,
        commit,
        frozenset(words | {*parts, *root.parts[-4:]}),
        _time(folder, parts, meta, journal),
        generated if isinstance(generated, bool) else None,
    )


def hits(item: Item) -> list[Hit]:
    """The patches of an item: its diff, else what its prediction says."""
    prompt = next((item.folder / name for name in PROMPTS if name in item.files), None)
    out = []
    if PATCH in item.files:
        path = item.folder / PATCH
        note = "run_summary.json says that a patch was made" if item.generated else ""
        out.append(Hit("runs", str(path), partial(read_file, path), item.time, note, prompt=prompt))
    if PREDICTION in item.files:
        path = item.folder / PREDICTION
        out.append(Hit("runs", str(path), partial(_prediction, path), item.time, prompt=prompt))
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
    """When a run was: its timestamp folder, its journal, else the folder's own time."""
    for text in (*reversed(parts), str(meta.get("timestamp", ""))):
        if found := TIMESTAMP.fullmatch(text):
            return f"{found[1]}T{found[2]}:{found[3]}:{found[4]}"
    written = _part(journal, "timestamps").get("written")
    return iso(written if isinstance(written, int | float) else folder.stat().st_mtime)


def _hash(text: object) -> str | None:
    """The commit hash at the end of a text; a number in an item's name is none."""
    found = HASH_AT_END.search(text.lower()) if isinstance(text, str) else None
    return found[1] if found else None


def _part(record: dict[str, Any], key: str) -> dict[str, Any]:
    value = record.get(key)
    return value if isinstance(value, dict) else {}


def _json(path: Path) -> dict[str, Any]:
    """A record of a run; one that can't be read tells nothing."""
    try:
        if path.stat().st_size > MAX_JSON:
            return {}
        loaded = msgspec.json.decode(path.read_bytes())
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        return {}
    return loaded if isinstance(loaded, dict) else {}


class _Line(msgspec.Struct):
    instance_id: str = ""
    model_patch: str | None = None


def _first_line(path: Path) -> _Line:
    try:
        with path.open("rb") as file:
            return msgspec.json.decode(file.readline(), type=_Line)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        return _Line()


def _instance(path: Path) -> str:
    return _first_line(path).instance_id


def _prediction(path: Path) -> Content:
    text = _first_line(path).model_patch or ""
    return content_of(text.encode("utf-8", "surrogateescape"))
