"""Texts that give a cause away: how the table of signatures is asked.

Signatures are asked only of launches that failed: a server that found its port taken, waited and
went on has not failed. A line belongs to the first row of the table that fits it; the rows stand in
the order machine, image, task, process, so that a full disk is never mistaken for a bad patch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Literal, NamedTuple

from patchbench.failures.causes import CAUSES
from patchbench.failures.signature_table import Asked, Signature, fits, holds, table
from patchbench.failures.tracebacks import (
    LEVEL,
    LONGEST,
    Ending,
    Line,
    last_exception,
    last_line,
    plain,
    read,
)
from patchbench.records import Evidence
from patchbench.system.raw_logs import MAX_LINE, blocks, find, numbered_lines, visible

__all__ = [
    "MAX_LINE",
    "Asked",
    "Match",
    "Signature",
    "first",
    "in_lines",
    "last_exception",
    "last_line",
    "matches",
    "numbered_lines",
    "search",
]


class Match(NamedTuple):
    """A row and the line that it claims."""

    signature: Signature
    evidence: Evidence

    @property
    def cause(self) -> str:
        """What the line shows, taken by itself."""
        return self.signature.cause


def claim(line: str, rows: Iterable[Signature], asked: Asked, at_end: bool) -> Signature | None:
    """The first of these rows that fits a line as it stands in a log, or None."""
    level = LEVEL.match(line)
    if level and level["level"] in ("DEBUG", "INFO"):
        return None
    warned, text = bool(level and level["level"] == "WARNING"), plain(line)
    for row in rows:
        asks_it = row.where == "log" or (at_end and not warned)
        if asks_it and fits(row, text, asked):
            return row
    return None


def matches(files: Iterable[Path], asked: Asked = Asked()) -> list[Match]:  # noqa: B008
    """What the table finds in some logs: of each cause the first line, in the table's order."""
    rows = [row for row in table() if holds(row, asked)]
    found: dict[str, Match] = {}
    for path in files:
        if find(path) is None:
            continue
        for row, line in _claimed(_candidates(path, rows), partial(_end_of, path), asked):
            evidence = Evidence(text=plain(line.text)[:MAX_LINE], file=str(path), line=line.number)
            found.setdefault(row.cause, Match(row, evidence))
    return sorted(found.values(), key=lambda match: _rank(match.cause))


def in_lines(lines: Iterable[str], asked: Asked) -> list[tuple[str, Line]]:
    """The same for lines that are no file: causes with their first line, counted from 1."""
    rows = [row for row in table() if holds(row, asked)]
    numbered = [Line(number, text) for number, text in enumerate(lines, 1)]
    found: dict[str, Line] = {}
    for row, line in _claimed(((line, rows) for line in numbered), lambda: read(numbered), asked):
        found.setdefault(row.cause, Line(line.number, plain(line.text)))
    return sorted(found.items(), key=lambda item: _rank(item[0]))


def _rank(cause: str) -> int:
    return next(at for at, row in enumerate(table()) if row.cause == cause)


def _end_of(path: Path) -> Ending:
    return read(numbered_lines(path, LONGEST))


def _claimed(
    candidates: Iterable[tuple[Line, list[Signature]]], ending: Callable[[], Ending], asked: Asked
) -> Iterator[tuple[Signature, Line]]:
    """Rows with the lines that they claim. How the log ends is read only if that matters."""
    end: set[int] | None = None
    for line, rows in candidates:
        if end is None and any(row.where == "end" for row in rows):
            end = {spoken.number for spoken in ending().lines}
        if row := claim(line.text, rows, asked, end is not None and line.number in end):
            yield row, line


def _candidates(path: Path, rows: list[Signature]) -> Iterator[tuple[Line, list[Signature]]]:
    """Lines that have some row's text, with the rows that may be theirs. Whole pieces of a log are
    searched for the texts first: most have none."""
    texts = [(row, row.text.encode()) for row in rows]
    for first_number, data in blocks(path):
        low = data.lower()
        near = [(row, text) for row, text in texts if text in low]
        if not near:
            continue
        for number, raw in enumerate(data.removesuffix(b"\n").split(b"\n"), first_number):
            small = raw.lower()
            if mine := [row for row, text in near if text in small]:
                yield Line(number, visible(raw).strip()[:LONGEST]), mine


def first(
    lines: Iterable[str], said_by: Literal["process", "engine", "both"] = "process"
) -> str | None:
    """The fault of the machine that some lines give away, or None."""
    found = in_lines(lines, Asked(said_by=said_by))
    return next((cause for cause, _ in found if CAUSES[cause].blame == "infra"), None)


def search(files: Iterable[Path], asked: Asked = Asked()) -> list[tuple[str, Evidence]]:  # noqa: B008
    """All faults of the machine that some logs give away, in the table's order (the first one
    decides), each with its first line."""
    return [
        (match.cause, match.evidence)
        for match in matches(files, asked)
        if match.signature.of_machine
    ]
