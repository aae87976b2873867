"""Predictions as SWE-bench takes them: JSON lines with instance_id, model_patch and
model_name_or_path. The instance's name ends in the commit's hash."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import NamedTuple

import msgspec

from patchbench.patches.sources.base import (
    SHORTEST,
    Content,
    Hit,
    Source,
    Wanted,
    content_of,
    same_commit,
)
from patchbench.patches.sources.runs import HASH_AT_END


class _Head(msgspec.Struct):
    instance_id: str = ""
    model_name_or_path: str | None = None


class _Body(msgspec.Struct):
    model_patch: str | None = None


class Line(NamedTuple):
    """Where one prediction stands."""

    path: Path
    number: int
    offset: int
    length: int
    commit: str
    model: str


class Predictions(Source):
    """One file, or all .jsonl files of a folder. A later line is newer than an earlier one."""

    def problem(self) -> str | None:
        return None if self.place.exists() else f"no file {self.place}"

    def candidates(self, wanted: Wanted) -> list[Hit]:
        found = [
            line
            for line in lines(self.place).get(wanted.commit[:SHORTEST], ())
            if same_commit(wanted.commit, line.commit) and self.where.model in (None, line.model)
        ]
        return [
            Hit("predictions", f"{line.path}:{line.number}", partial(read_line, line))
            for line in reversed(found)
        ]


_LINES: dict[Path, dict[str, list[Line]]] = {}


def lines(place: Path) -> dict[str, list[Line]]:
    """All predictions by the first characters of their commit; the patches stay on disk. Lines
    that can't be read, or name no commit, are nobody's."""
    key = place.resolve()
    if key not in _LINES:
        found: dict[str, list[Line]] = {}
        decoder = msgspec.json.Decoder(_Head)
        paths = sorted(place.glob("*.jsonl")) if place.is_dir() else [place]
        for path in (p for p in paths if p.is_file()):
            offset = 0
            with path.open("rb") as file:
                for number, data in enumerate(file, 1):
                    start, offset = offset, offset + len(data)
                    try:
                        head = decoder.decode(data)
                    except (msgspec.MsgspecError, UnicodeDecodeError):
                        continue
                    if commit := HASH_AT_END.search(head.instance_id.lower()):
                        model = head.model_name_or_path or ""
                        line = Line(path, number, start, len(data), commit[1], model)
                        found.setdefault(commit[1][:SHORTEST], []).append(line)
        _LINES[key] = found
    return _LINES[key]


def read_line(line: Line) -> Content:
    """The patch of one prediction."""
    with line.path.open("rb") as file:
        file.seek(line.offset)
        data = file.read(line.length)
    try:
        patch = msgspec.json.decode(data, type=_Body).model_patch
    except (msgspec.MsgspecError, UnicodeDecodeError):
        patch = None
    return content_of((patch or "").encode("utf-8", "surrogateescape"))
