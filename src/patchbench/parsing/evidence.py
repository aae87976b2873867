"""What a log without a good result says about the reason: one table of the tools' own texts."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from patchbench.failures.tracebacks import EXCEPTION_LINE
from patchbench.parsing.lines import clean
from patchbench.parsing.text import Blocks, Line


class Sign(NamedTuple):
    """A fact and a text that shows it: a literal ``anchor``, and the pattern that its line must
    have."""

    fact: str
    anchor: bytes
    pattern: re.Pattern[str]


def _sign(fact: str, anchor: str, pattern: str | None = None) -> Sign:
    return Sign(fact, anchor.encode(), re.compile(pattern or re.escape(anchor)))


SIGNS: tuple[Sign, ...] = (
    # vLLM's benchmarks/benchmark_*.py, once they had moved into the package.
    _sign("deprecated", "DEPRECATED: This script has been moved", r"^DEPRECATED: This script has"),
    # The measurement begins; what failed before it (waiting for the server) is of no interest.
    _sign("started", "Traffic request rate: ", r"^Traffic request rate: \S+$"),  # not SGLang's row
    _sign("started", "Starting main benchmark run"),
    # Nobody listens, or whoever listened is gone.
    _sign("no_server", "Connect call failed"),
    _sign("no_server", "Connection refused"),
    _sign("no_server", "Cannot connect to host"),
    _sign("no_server", "Server disconnected"),
    _sign("no_server", "Connection reset by peer"),
    # The client gives up, vLLM and SGLang.
    _sign("client_failed", "Initial test run failed"),
    _sign("client_failed", "All requests failed."),
    _sign("client_failed", "Error running benchmark for request rate"),
    _sign("client_failed", "error: unrecognized arguments"),
)
# A reason is looked for in so many blocks at the end of a log, about 16 MiB; an exception in fewer.
END_BLOCKS, LAST_BLOCKS = 256, 16
# What the predecessor's logs end with: its images being pulled.
PULL = re.compile(
    r"^[0-9a-f]{12}: |^(?:Digest|Status): |^\S+: Pulling from |^Unable to find image |"
    r"^Run 'docker run --help'|^[A-Z_]+_DONE$"
)


class Signs(NamedTuple):
    """The last line for each fact, the last exception near the log's end, and its last line."""

    lines: dict[str, Line]
    exception: Line | None
    last: Line | None

    def no_server(self) -> Line | None:
        """The line that shows that the server was gone while the benchmark ran."""
        found, started = self.lines.get("no_server"), self.lines.get("started")
        return found if found and (not started or found.number > started.number) else None


def read(blocks: Blocks) -> Signs:
    """The signs near the end of a log, given in blocks of whole lines."""
    lines: dict[str, Line] = {}
    end = deque(blocks, maxlen=END_BLOCKS)
    for first, data in end:
        for sign in SIGNS:
            found = _last(sign, first, data)
            if found and found.number > lines.get(sign.fact, Line(0, "")).number:
                lines[sign.fact] = found
    last = None
    for line in _backwards(list(end)[-LAST_BLOCKS:]):
        if EXCEPTION_LINE.match(line.text):
            return Signs(lines, line, last or line)
        if last is None or (PULL.match(last.text) and not PULL.match(line.text)):
            last = line
    return Signs(lines, None, last)


def gone(text: str) -> bool:
    """Whether an error's text says that the server was gone."""
    return any(s.fact == "no_server" and s.pattern.search(text) for s in SIGNS)


def _last(sign: Sign, first: int, data: bytes) -> Line | None:
    """The last line of a block that shows the sign."""
    hit = len(data)
    while (hit := data.rfind(sign.anchor, 0, hit)) >= 0:
        start, end = data.rfind(b"\n", 0, hit) + 1, data.find(b"\n", hit)
        text = clean(data[start : end if end >= 0 else len(data)])
        if sign.pattern.search(text):
            return Line(first + data.count(b"\n", 0, start), text)
        hit = start
    return None


def _backwards(end: Sequence[tuple[int, bytes]]) -> Iterator[Line]:
    """The lines of the last blocks that aren't blank, last one first."""
    for first, data in reversed(end):
        lines = data.removesuffix(b"\n").split(b"\n")
        for at in range(len(lines) - 1, -1, -1):
            if text := clean(lines[at]).strip():
                yield Line(first + at, text)
