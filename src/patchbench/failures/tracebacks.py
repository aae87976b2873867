"""Tracebacks: the exception that ended a process, the files it went through, the last lines.

Logger prefixes are removed before a line is read. An engine of several processes reports one
failure several times: the exception that caused it counts, not one that points to it.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Literal, NamedTuple

from patchbench.records import Evidence
from patchbench.system.raw_logs import MAX_LINE, numbered_lines

# Prefixes of loggers and launchers, in any order: vLLM `(EngineCore pid=7) ERROR 11-22
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
# The level that a line's own logger gave it; no match for lines of no logger.
LEVEL = re.compile(
    r"^(?:\([^)]*\) ?)?(?:\[[^\]]*\] ?)?(?P<level>DEBUG|INFO|WARNING|ERROR|CRITICAL)\b"
)
# The line of a Python traceback that says what went wrong (`SomeError: text`, `a.b.Error`).
EXCEPTION_LINE = re.compile(r"^(?:[A-Za-z_]\w*\.)*[A-Z]\w*(?:Error|Exception|Exit|Interrupt)\b")
# Exceptions that only point to another one, or only say that the process was told to end.
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
# Every line that matters has one of these; most of a log has none and is skipped quickly.
TELLING = re.compile(r'Traceback|File "|above exception|Error|Exception|Exit|Interrupt')
FRAME = re.compile(r'^File "(?P<file>[^"]+)", line \d+')
# An exception's message may take several lines; a process may end without any exception.
MESSAGE_LINES, LAST_LINES = 12, 20
# A runaway recursion has thousands of frames, in a few files.
MAX_FRAMES = 1000
# Evidence is cut to what a person reads; a message that signatures search may be longer.
LONGEST = 4000
INSTALLED = re.compile(r"^.*/(?:site|dist)-packages/")
# Frames shown to a person: the innermost are the telling ones.
MOST = 30

# Evidence for or against the patch, no proof: a patch may break what another file then trips over,
# and a changed file may only pass on what went wrong elsewhere. It decides nothing.
Mark = Literal["in patch", "not in patch", "none"]


class Line(NamedTuple):
    """One line of a log, without what a logger put before it."""

    number: int
    text: str


class Ending(NamedTuple):
    """The end of a log. ``lines`` are about the end: the exceptions of the last chain with their
    messages, and the last lines. ``frames`` are the files of its traceback, outermost first;
    ``points_on`` is True if the exception only points to another."""

    exception: Line | None
    points_on: bool
    frames: tuple[str, ...]
    lines: tuple[Line, ...]


def plain(line: str) -> str:
    """Return a line without logger prefixes."""
    return LOG_PREFIX.sub("", line).strip()


class _Chain:
    """A traceback, or several that led to each other, while it is being read."""

    def __init__(self) -> None:
        self.frames: list[str] = []
        self.lines: list[Line] = []


def read(numbered: Iterable[tuple[int, str]]) -> Ending:
    """Return the ending of a log, from its numbered lines."""
    last_lines: deque[tuple[int, str]] = deque(maxlen=LAST_LINES)
    latest: dict[bool, tuple[Line, _Chain]] = {}  # True: exceptions that only point to another
    chain, chained, within, message = _Chain(), False, False, 0
    for number, raw in numbered:
        if not raw:
            continue
        last_lines.append((number, raw))
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
            latest[bool(WRAPPER.search(text))] = (line, chain)
            within, message = False, MESSAGE_LINES
        elif message and text:
            chain.lines.append(line)
            message -= 1
    exception, ended = latest.get(False) or latest.get(True) or (None, _Chain())
    last = (Line(number, plain(raw)) for number, raw in last_lines)
    lines = {line.number: line for line in (*ended.lines, *last) if line.text}
    return Ending(
        exception=exception,
        points_on=exception is not None and False not in latest,
        frames=tuple(dict.fromkeys(ended.frames)),
        lines=tuple(lines[number] for number in sorted(lines)),
    )


def ending(files: Iterable[Path]) -> tuple[Ending, Path] | None:
    """Return the ending of the process that wrote these logs, and the log that shows it: the first
    with an exception that points to no other, else the first with any; None without exceptions."""
    pointing = None
    for path in files:
        end = read(numbered_lines(path, LONGEST))
        if end.exception and not end.points_on:
            return end, path
        if end.exception and pointing is None:
            pointing = end, path
    return pointing


def last_exception(path: Path) -> Evidence | None:
    """Return the last line of a log that names a Python exception, or None. An exception that only
    points to another counts if there is no other."""
    line = read(numbered_lines(path, LONGEST)).exception
    return Evidence(text=line.text[:MAX_LINE], file=str(path), line=line.number) if line else None


def last_line(path: Path) -> Evidence | None:
    """Return the last line of a log that isn't blank, or None."""
    last = None
    for number, line in numbered_lines(path):
        if line:
            last = Evidence(text=line, file=str(path), line=number)
    return last


def with_last_line(text: str, log: Path) -> Evidence:
    """Return a sentence as evidence, with the log's last line quoted if there is one."""
    last = last_line(log)
    quoted = f"{text}; the log ends: {last.text}" if last else text
    return Evidence(text=quoted, file=str(log), line=last.line if last else None)


def files(frames: Iterable[str], tree: str) -> tuple[str, ...]:
    """Return the files of a traceback, outermost first: those of the arm's tree (a folder's path
    with a slash at the end) relative to it, those of packages relative to site-packages."""
    shown = [INSTALLED.sub("", path.removeprefix(tree)) for path in frames]
    return tuple(dict.fromkeys(path for path in shown if not path.startswith("<")))[-MOST:]


def mark(traceback: Iterable[str], patched: Collection[str]) -> Mark:
    """Return "in patch" if the patch changed any file of the traceback; "none" without one."""
    shown = list(traceback)
    if not shown:
        return "none"
    # If an image's tree is not known, the paths are absolute.
    touched = any(path == file or path.endswith(f"/{file}") for path in shown for file in patched)
    return "in patch" if touched else "not in patch"
