"""How a process ended, read from its log: the exception that ended it, the files that its
traceback went through, and the last words.

Tracebacks are read through what loggers put before each line. An engine of several processes
reports one failure several times: the exception counts that caused it, not one that points to it.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from patchbench.records import Evidence
from patchbench.system.raw_logs import MAX_LINE, numbered_lines

# What loggers and launchers put before a line, in any order: vLLM `(EngineCore pid=7) ERROR 11-22
# 11:58:03 [core.py:1510] `, older `ERROR 08-27 05:12:18 worker_base.py:382] `, SGLang
# `[2025-07-02 07:41:58 DP0 TP0] `, torch `[rank0]: `, Docker `2024-08-01T21:29:17.880Z `.
PREFIXES = (
    r"\x1b\[[\d;]*m ?",
    r"\((?:\w+ )?(?:rank=\d+ )?(?:\w+ )?pid=\d+[^)]*\) ?",
    r"\[rank\d+\]: ?",
    r"(?:DEBUG|INFO|WARNING|ERROR|CRITICAL) [\d-]+ [\d:.,]+ (?:\[[^\]]*\]|[\w.]+:\d+\]) ?",
    r"\[\d{4}-\d\d-\d\d [\d:.,]+(?: \w+)*\] ?",
    r"\d{4}-\d\d-\d\dT[\d:.]+Z ",
)
LOG_PREFIX = re.compile(rf"^(?:{'|'.join(PREFIXES)})+")
# How grave a line's own logger took it for; None for lines of no logger.
LEVEL = re.compile(
    r"^(?:\([^)]*\) ?)?(?:\[[^\]]*\] ?)?(?P<level>DEBUG|INFO|WARNING|ERROR|CRITICAL)\b"
)
# The line of a Python traceback that says what went wrong (`SomeError: text`, `a.b.Error`).
EXCEPTION_LINE = re.compile(r"^(?:[A-Za-z_]\w*\.)*[A-Z]\w*(?:Error|Exception|Exit|Interrupt)\b")
# Exceptions that only say that there was another one, or that somebody ended the process.
WRAPPER = re.compile(
    r"see root cause above|failed core proc|died unexpectedly|for the root cause|front-end process"
    r"|^asyncio\.exceptions\.CancelledError|^KeyboardInterrupt|^SystemExit",
    re.IGNORECASE,
)
HEADER = "Traceback (most recent call last):"
CHAIN = re.compile(
    r"^During handling of the above exception, another exception occurred:"
    r"|^The above exception was the direct cause of the following exception:"
)
# Every line that matters has one of these; most of a log has none, and is passed over quickly.
TELLING = re.compile(r'Traceback|File "|above exception|Error|Exception|Exit|Interrupt')
FRAME = re.compile(r'^File "(?P<file>[^"]+)", line \d+')
# What an exception says may go on over some lines; a process may end without any exception.
MESSAGE_LINES, LAST_LINES = 12, 20
# A recursion that ran away has thousands of frames; which files they are in is soon known.
MAX_FRAMES = 1000
# Evidence is cut to what a person reads; a message to judge may be longer.
LONGEST = 4000


class Line(NamedTuple):
    """One line of a log, without what a logger put before it."""

    number: int
    text: str


class Ending(NamedTuple):
    """How a log ends. ``lines`` are those that speak of the end: the exceptions of the last chain
    with what they say, and the last lines. ``frames`` are the files of its traceback, outermost
    first, ``points_on`` whether the exception only points to another."""

    exception: Line | None
    points_on: bool
    frames: tuple[str, ...]
    lines: tuple[Line, ...]


def plain(line: str) -> str:
    """A line without what loggers put before it."""
    return LOG_PREFIX.sub("", line).strip()


class _Chain:
    """A traceback, or several of which one led to the next, while they are being read."""

    def __init__(self) -> None:
        self.frames: list[str] = []
        self.lines: list[Line] = []


def read(numbered: Iterable[tuple[int, str]]) -> Ending:
    """How a log ends, from its numbered lines."""
    last_words: deque[tuple[int, str]] = deque(maxlen=LAST_LINES)
    found: dict[bool, tuple[Line, _Chain]] = {}  # by whether it only points to another
    chain, chained, within, message = _Chain(), False, False, 0
    for number, raw in numbered:
        if not raw:
            continue
        last_words.append((number, raw))
        if not message and not TELLING.search(raw):
            continue
        line = Line(number, text := plain(raw))
        if text.endswith(HEADER):
            chain = chain if chained else _Chain()
            chained, within, message = False, True, 0
        elif CHAIN.match(text):
            chained = True
        elif frame := FRAME.match(text):
            if len(chain.frames) < MAX_FRAMES:
                chain.frames.append(frame["file"])
        elif EXCEPTION_LINE.match(text):
            if not within:  # a logger's line about an exception, without its traceback
                chain = _Chain()
            chain.lines.append(line)
            found[bool(WRAPPER.search(text))] = (line, chain)
            within, message = False, MESSAGE_LINES
        elif message and text:
            chain.lines.append(line)
            message -= 1
    exception, ended = found.get(False) or found.get(True) or (None, _Chain())
    words = (Line(number, plain(raw)) for number, raw in last_words)
    speaking = {line.number: line for line in (*ended.lines, *words) if line.text}
    return Ending(
        exception=exception,
        points_on=exception is not None and False not in found,
        frames=tuple(dict.fromkeys(ended.frames)),
        lines=tuple(speaking[number] for number in sorted(speaking)),
    )


def ending(files: Iterable[Path]) -> tuple[Ending, Path] | None:
    """How a process ended that wrote these logs, and the log that shows it: the first with an
    exception that is no pointer to another, else the first with any; None if there is none."""
    pointing = None
    for path in files:
        found = read(numbered_lines(path, LONGEST))
        if found.exception and not found.points_on:
            return found, path
        if found.exception and pointing is None:
            pointing = found, path
    return pointing


def last_exception(path: Path) -> Evidence | None:
    """The last line in a log that names a Python exception, or None. One that only points to
    another counts if there is no other."""
    found = read(numbered_lines(path, LONGEST)).exception
    return (
        Evidence(text=found.text[:MAX_LINE], file=str(path), line=found.number) if found else None
    )


def last_line(path: Path) -> Evidence | None:
    """The last line of a log that isn't blank, or None."""
    last = None
    for number, line in numbered_lines(path):
        if line:
            last = Evidence(text=line, file=str(path), line=number)
    return last
