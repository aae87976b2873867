"""Results in the text that a benchmark printed.

A log is searched block by block for the layouts' anchors; only lines near one are parsed. So a log
of gigabytes costs little more than reading it, and a row outside of its group never counts.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import NamedTuple

from patchbench.parsing.layouts import Layout
from patchbench.parsing.lines import clean


class Line(NamedTuple):
    """A line of a log: its number (1-based) and its visible text."""

    number: int
    text: str


class Clash(NamedTuple):
    """Two contradicting results in one log, and the line of the second."""

    text: str
    line: Line


class Reading(NamedTuple):
    """One group of lines in a known layout: its metrics in canonical names with their lines.
    ``whole`` is True if no line is missing, ``clash`` a contradiction within the group; ``begun``
    is True for a run that began and came to no group."""

    layout: Layout
    line: Line
    metrics: dict[str, float]
    rows: dict[str, Line]
    whole: bool = False
    clash: Clash | None = None
    begun: bool = False


class Text(NamedTuple):
    """Contents of a log: the result (the last whole group), its contradiction, and the last group
    that isn't whole."""

    result: Reading | None = None
    clash: Clash | None = None
    partial: Reading | None = None


COUNTS = {"completed", "failed"}
Blocks = Iterable[tuple[int, bytes]]


def read(blocks: Blocks, layouts: Sequence[Layout]) -> Text:
    """Return the results in these layouts of a log, given in blocks of whole lines."""
    readers = [_Reader(layout) for layout in layouts]
    for first, data in blocks:
        for reader in readers:
            reader.feed(first, data)
    readings = [reading for reader in readers for reading in reader.end()]
    return choose(sorted(readings, key=lambda reading: reading.line.number))


def choose(readings: Sequence[Reading]) -> Text:
    """Choose the last whole group. Equal groups, such as a client's box and its echo, are one
    result; groups that differ are a contradiction."""
    whole = [reading for reading in readings if reading.whole]
    partial = next((reading for reading in reversed(readings) if not reading.whole), None)
    if not whole:
        return Text(partial=partial)
    clash = _clash(whole[-1], readings) or _unfinished(whole[-1], readings)
    return Text(whole[-1], clash, partial)


def _unfinished(result: Reading, readings: Sequence[Reading]) -> Clash | None:
    """Return a second run that has no result: one before the result, or one after it that has at
    most counts of requests. An echo of some rows of the result has more."""
    for reading in readings:
        after = reading.line.number > result.line.number
        if not reading.whole and (reading.begun or (after and reading.metrics.keys() <= COUNTS)):
            return Clash(f"{result.layout.name}, and a run that has no end", reading.line)
    return None


def _clash(result: Reading, readings: Sequence[Reading]) -> Clash | None:
    for reading in readings:
        if reading.clash:
            return reading.clash
        first, second = sorted((reading, result), key=lambda one: one.line.number)
        if reading.whole and reading.layout.type != result.layout.type:
            return Clash(f"{first.layout.name}, then {second.layout.name}", second.line)
        for name in sorted(first.metrics.keys() & second.metrics.keys()):
            if not is_same(first.metrics[name], second.metrics[name]):
                return _clash_of(name, first.metrics[name], second.metrics[name], second.rows[name])
    return None


def _clash_of(name: str, first: float, second: float, line: Line) -> Clash:
    return Clash(f"{name} {first:g}, then {second:g}", line)


def is_same(one: float, other: float) -> bool:
    """Return True if two printed numbers are equal or both NaN."""
    return one == other or (math.isnan(one) and math.isnan(other))


class _Reader:
    """Finds one layout's groups in the blocks of a log."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.readings: list[Reading] = []
        self._left = 0  # how many lines of the window are left
        self._begins: list[int] = []
        self._open: Reading | None = None

    def feed(self, first: int, data: bytes) -> None:
        """Take the next block; ``first`` is the number of its first line."""
        self._note_begins(first, data)
        at, line_number, anchor = 0, first, self.layout.anchor
        while at < len(data):
            if not self._left:
                hit = data.find(anchor, at)
                if hit < 0:
                    return
                start = data.rfind(b"\n", at, hit) + 1 or at
                line_number += data.count(b"\n", at, start)
                at = start
            end = data.find(b"\n", at) + 1 or len(data)
            line = data[at:end]
            self._left = self.layout.window if anchor in line else self._left - 1
            self._take(Line(line_number, clean(line)))
            if not self._left:
                self._close()
            at, line_number = end, line_number + 1

    def end(self) -> list[Reading]:
        """Return all groups after the last block."""
        self._close()
        ends = sorted(reading.line.number for reading in self.readings)
        for begin, later in pairwise([*self._begins, sys.maxsize]):
            if self._begins and not any(begin < end < later for end in ends):
                line = Line(begin, self.layout.begin.decode())
                self.readings.append(Reading(self.layout, line, {}, {}, begun=True))
        return self.readings

    def _note_begins(self, first: int, data: bytes) -> None:
        """Note the lines with which a run begins."""
        hit = data.find(self.layout.begin) if self.layout.begin else -1
        while hit >= 0:
            self._begins.append(first + data.count(b"\n", 0, hit))
            hit = data.find(self.layout.begin, data.find(b"\n", hit) + 1 or len(data))

    def _take(self, line: Line) -> None:
        layout = self.layout
        if layout.void and layout.void.match(line.text):
            self._open = None
        if layout.stop and layout.stop.match(line.text):
            self._left = 0
        if layout.start.match(line.text):
            self._close()
            self._open = Reading(layout, line, {}, {})
        if self._open is None:
            return
        for name, value in layout.rows(line.text).items():
            if name not in self._open.metrics:
                self._open.metrics[name] = value
                self._open.rows[name] = line
            elif not is_same(value, self._open.metrics[name]):
                clash = _clash_of(name, self._open.metrics[name], value, line)
                self._open = self._open._replace(clash=clash)
        if layout.end and layout.end.match(line.text):
            self._close(ended=True)

    def _close(self, ended: bool = False) -> None:
        if self._open is None:
            return
        whole = self.layout.needs <= self._open.metrics.keys()
        ended = ended or self.layout.end is None
        self.readings.append(self._open._replace(whole=whole and ended))
        self._open = None
