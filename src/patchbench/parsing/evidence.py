"""Reasons in a log that holds no result: one table of the tools' own texts."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from patchbench.failures.tracebacks import EXCEPTION_LINE
from patchbench.parsing.lines import clean
from patchbench.parsing.text import Blocks, Line


class Marker(NamedTuple):
    """A fact and the text that shows it: a literal ``anchor`` and the pattern of its line."""

    fact: str
    anchor: bytes
    pattern: re.Pattern[str]


def _mark(fact: str, anchor: str, pattern: str | None = None) -> Marker:
    return Marker(fact, anchor.encode(), re.compile(pattern or re.escape(anchor)))


MARKERS: tuple[Marker, ...] = (
    # vLLM's benchmarks/benchmark_*.py, once they had moved into the package.
    _mark("deprecated", "DEPRECATED: This script has been moved", r"^DEPRECATED: This script has"),
    # The measurement begins: failures before it (waiting for the server) do not count.
    _mark("started", "Traffic request rate: ", r"^Traffic request rate: \S+$"),  # not SGLang's row
    _mark("started", "Starting main benchmark run"),
    # No process listens, or it has ended.
    _mark("no_server", "Connect call failed"),
    _mark("no_server", "Connection refused"),
    _mark("no_server", "Cannot connect to host"),
    _mark("no_server", "Server disconnected"),
    _mark("no_server", "Connection reset by peer"),
    # The client gives up, vLLM and SGLang.
    _mark("client_failed", "Initial test run failed"),
    _mark("client_failed", "All requests failed."),
    _mark("client_failed", "Error running benchmark for request rate"),
    _mark("client_failed", "error: unrecognized arguments"),
)
# Blocks at the end of a log that are searched for markers (about 16 MiB) and for an exception.
END_BLOCKS, LAST_BLOCKS = 256, 16
# Logs of ISO-Bench's harness end with the progress of a pull.
PULL = re.compile(
    r"^[0-9a-f]{12}: |^(?:Digest|Status): |^\S+: Pulling from |^Unable to find image |"
    r"^Run 'docker run --help'|^[A-Z_]+_DONE$"
)


class LogEnd(NamedTuple):
    """End of a log: the last line for each fact, the last exception, and the last line."""

    lines: dict[str, Line]
    exception: Line | None
    last: Line | None

    def no_server(self) -> Line | None:
        """Return the line that shows that the server was gone while the benchmark ran."""
        line, started = self.lines.get("no_server"), self.lines.get("started")
        return line if line and (not started or line.number > started.number) else None


def read_log_end(blocks: Blocks) -> LogEnd:
    """Read the end of a log, given in blocks of whole lines."""
    lines: dict[str, Line] = {}
    end = deque(blocks, maxlen=END_BLOCKS)
    for first, data in end:
        for marker in MARKERS:
            line = _last_line(marker, first, data)
            if line and line.number > lines.get(marker.fact, Line(0, "")).number:
                lines[marker.fact] = line
    last = None
    for line in _backwards(list(end)[-LAST_BLOCKS:]):
        if EXCEPTION_LINE.match(line.text):
            return LogEnd(lines, line, last or line)
        if last is None or (PULL.match(last.text) and not PULL.match(line.text)):
            last = line
    return LogEnd(lines, None, last)


def is_server_gone(error: str) -> bool:
    """Return True if an error's text says that the server was gone."""
    return any(m.fact == "no_server" and m.pattern.search(error) for m in MARKERS)


def _last_line(marker: Marker, first: int, data: bytes) -> Line | None:
    """Return the last line of a block that shows the marker's fact."""
    hit = len(data)
    while (hit := data.rfind(marker.anchor, 0, hit)) >= 0:
        start, end = data.rfind(b"\n", 0, hit) + 1, data.find(b"\n", hit)
        text = clean(data[start : end if end >= 0 else len(data)])
        if marker.pattern.search(text):
            return Line(first + data.count(b"\n", 0, start), text)
        hit = start
    return None


def _backwards(end: Sequence[tuple[int, bytes]]) -> Iterator[Line]:
    """Yield the lines of blocks that aren't blank, the last one first."""
    for first, data in reversed(end):
        lines = data.removesuffix(b"\n").split(b"\n")
        for at in range(len(lines) - 1, -1, -1):
            if text := clean(lines[at]).strip():
                yield Line(first + at, text)
