"""Excerpts of logs and patches, for a page that is read without the files beside it.

Patched code may have written these files, so only plain files of the results folder are opened, and
no more than a bounded part of them is read.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import BinaryIO, NamedTuple

from patchbench.system.contained_file import open_contained

# Lines of an excerpt before and after the line that shows a failure.
BEFORE, AFTER = 7, 4
# Characters of a line, lines of a patch, and bytes of a file that are read at most.
WIDTH, PATCH_LINES, MOST = 240, 150, 16 << 20


class Line(NamedTuple):
    """One line of a file; ``shown`` is True for the line that an excerpt is about."""

    number: int
    text: str
    shown: bool = False


class Text(NamedTuple):
    """The beginning of a file; ``left`` counts the lines that are not in it."""

    lines: tuple[str, ...] = ()
    left: int = 0


def around(results: Path, link: str, line: int | None) -> tuple[Line, ...]:
    """Return the lines around one line of a file, nothing if it can't be read. ``link`` is
    relative to the results folder."""
    if not link or not line:
        return ()
    try:
        with open_contained(results / link, results) as file:
            numbered = enumerate(_lines(file), 1)
            found = list(islice(numbered, max(0, line - 1 - BEFORE), line + AFTER))
    except (OSError, ValueError):
        return ()
    if not any(number == line for number, _ in found):
        return ()
    return tuple(Line(number, text, number == line) for number, text in found)


def beginning(results: Path, link: str) -> Text:
    """Return the beginning of a patch, nothing if it can't be read."""
    try:
        with open_contained(results / link, results) as file:
            lines = _lines(file)
            shown = tuple(islice(lines, PATCH_LINES))
            return Text(shown, sum(1 for _ in lines))
    except (OSError, ValueError):
        return Text()


def _lines(file: BinaryIO) -> Iterator[str]:
    """Yield the lines of a file, each cut to ``WIDTH``; none after ``MOST`` bytes."""
    read = 0
    while read < MOST and (line := file.readline(MOST)):
        read += len(line)
        text = line.decode("utf-8", errors="replace").rstrip("\r\n")
        yield text if len(text) <= WIDTH else f"{text[: WIDTH - 1]}…"
