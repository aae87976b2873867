"""Predictions in SWE-bench's format: JSON lines with instance_id, model_patch and
model_name_or_path. The instance's name ends in the commit's hash."""

from __future__ import annotations

import functools
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import NamedTuple

import msgspec

from patchbench.patches.sources.base import (
    SHORTEST_HASH,
    Content,
    Hit,
    PatchQuery,
    Source,
    content_of,
    is_commit,
)
from patchbench.patches.sources.runs import HASH_AT_END
from patchbench.system.contained_file import open_contained


class _Head(msgspec.Struct):
    instance_id: str = ""
    model_name_or_path: str | None = None


class _Body(msgspec.Struct):
    model_patch: str | None = None


class Line(NamedTuple):
    """Position of one prediction."""

    path: Path
    number: int
    offset: int
    length: int
    commit: str
    model: str


class Predictions(Source):
    """One file, or all .jsonl files of a folder. A later line is newer than an earlier one."""

    def problem(self) -> str | None:
        return None if self.path.exists() else f"no file {self.path}"

    def hits(self, query: PatchQuery) -> list[Hit]:
        return [
            Hit("predictions", f"{line.path}:{line.number}", partial(read_line, line, self.root))
            for line in reversed(lines(self.path).get(query.commit[:SHORTEST_HASH], ()))
            if is_commit(query.commit, line.commit) and self.place.model in (None, line.model)
        ]


@functools.cache
def lines(place: Path) -> dict[str, list[Line]]:
    """Return all predictions by the first characters of their commit, without the patches. Lines
    that can't be read, or name no commit, are skipped."""
    out: dict[str, list[Line]] = {}
    decoder = msgspec.json.Decoder(_Head)
    paths = sorted(place.glob("*.jsonl")) if place.is_dir() else [place]
    for path in paths:
        offset = 0
        with suppress(OSError), open_contained(path, place) as file:
            for number, data in enumerate(file, 1):
                start, offset = offset, offset + len(data)
                try:
                    head = decoder.decode(data)
                except (msgspec.MsgspecError, UnicodeDecodeError):
                    continue
                if match := HASH_AT_END.search(head.instance_id.lower()):
                    commit, model = match[1], head.model_name_or_path or ""
                    line = Line(path, number, start, len(data), commit, model)
                    out.setdefault(commit[:SHORTEST_HASH], []).append(line)
    return out


def read_line(line: Line, root: Path) -> Content:
    """Read the patch of one prediction. Raises OSError."""
    with open_contained(line.path, root) as file:
        file.seek(line.offset)
        data = file.read(line.length)
    try:
        patch = msgspec.json.decode(data, type=_Body).model_patch
    except (msgspec.MsgspecError, UnicodeDecodeError):
        patch = None
    return content_of((patch or "").encode("utf-8", "surrogateescape"))
