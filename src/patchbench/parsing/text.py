"""Reading results from what a benchmark printed.

A log is searched block by block for the layouts' anchors; only lines near one are looked at. So a
log of gigabytes costs little more than reading it, and a row outside its group counts for nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from patchbench.parsing.layouts import Layout
from patchbench.parsing.lines import clean


class Line(NamedTuple):
    """A line of a log: its number (1-based) and what it shows."""

    number: int
    text: str


class Clash(NamedTuple):
    """Two results in one log: what they say, and the line on which the second shows."""

    text: str
    line: Line


class Reading(NamedTuple):
    """One group of lines in a known layout: its metrics in canonical names, where each stands,
    whether the group is whole, and whether it contradicts itself."""

    layout: Layout
    line: Line
    metrics: dict[str, float]
    rows: dict[str, Line]
    whole: bool = False
    clash: Clash | None = None


class Text(NamedTuple):
    """What a log says: its result (the last whole group), what contradicts it, and the last group
    that isn't whole."""

    result: Reading | None = None
    clash: Clash | None = None
    torn: Reading | None = None


Blocks = Iterable[tuple[int, bytes]]


def read(blocks: Blocks, wanted: Sequence[Layout]) -> Text:
    """What a log, given in blocks of whole lines, says in the wanted layouts."""
    readers = [_Reader(layout) for layout in wanted]
    for first, data in blocks:
        for reader in readers:
            reader.feed(first, data)
    found = [reading for reader in readers for reading in reader.end()]
    return choose(sorted(found, key=lambda reading: reading.line.number))


def choose(readings: Sequence[Reading]) -> Text:
    """The last whole group, unless another one contradicts it: a client's block and its echo are
    one result, two runs are not."""
    whole = [reading for reading in readings if reading.whole]
    torn = [reading for reading in readings if not reading.whole]
    if not whole:
        return Text(torn=torn[-1] if torn else None)
    result = whole[-1]
    return Text(result, _clash(result, readings), torn[-1] if torn else None)


def _clash(result: Reading, readings: Sequence[Reading]) -> Clash | None:
    for reading in readings:
        if reading.clash:
            return reading.clash
        first, second = sorted((reading, result), key=lambda one: one.line.number)
        if reading.whole and reading.layout.type != result.layout.type:
            return Clash(f"{first.layout.name}, then {second.layout.name}", second.line)
        for name in sorted(first.metrics.keys() & second.metrics.keys()):
            if not same(first.metrics[name], second.metrics[name]):
                return _two(name, first.metrics[name], second.metrics[name], second.rows[name])
    return None


def _two(name: str, first: float, second: float, line: Line) -> Clash:
    return Clash(f"{name} {first:g}, then {second:g}", line)


def same(one: float, other: float) -> bool:
    """Whether two printed numbers are one: equal, or both not a number."""
    return one == other or (math.isnan(one) and math.isnan(other))


class _Reader:
    """Looks for one layout's groups in the blocks of a log."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.readings: list[Reading] = []
        self._left = 0  # how many lines of the window are left
        self._open: Reading | None = None

    def feed(self, first: int, data: bytes) -> None:
        """Take the next block; ``first`` is the number of its first line."""
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
        """The groups found, once the log is at its end."""
        self._close()
        return self.readings

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
            elif not same(value, self._open.metrics[name]):
                clash = _two(name, self._open.metrics[name], value, line)
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
