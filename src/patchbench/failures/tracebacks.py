"""Tracebacks: the exception that ended a process, the files it went through, the last lines.

An engine of several processes reports one failure several times: the exception that caused it
counts, not one that points to it or follows from it. Tracebacks of ranks that share a log are told
apart by their prefixes.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Literal, NamedTuple

from patchbench.failures.log_lines import source, split
from patchbench.records import Evidence
from patchbench.system.raw_logs import MAX_LINE, numbered_lines

# The line of a Python traceback that says what went wrong (`SomeError: text`, `a.b.Error`).
EXCEPTION_LINE = re.compile(
    r"^(?:[A-Za-z_]\w*\.)*(?:[A-Z]\w*(?:Error|Exception|Exit|Interrupt)\b|Exception:)"
)
# Below a traceback's frames, a dotted name is an exception, whatever it is called.
NAMED = re.compile(r"^(?:[a-z_]\w*\.)+[A-Z]\w*(?:\(\w+\))?(?:: |:?$)")
# On a line of other text: a whole traceback on one line, or a logger's words before an exception.
EMBEDDED = re.compile(
    r"(?:Traceback \(most recent call last\):.* |[\]:|>] +(?:- )?)"
    r"(?P<exception>(?:[A-Za-z_]\w*\.)*[A-Z]\w*(?:Error|Exception): \S.*)"
)
# A process's end without Python's words.
NATIVE = re.compile(
    r"^(?:\S+: line \d+: +\d+ )?(?:Segmentation fault|Aborted\b|Illegal instruction|Bus error"
    r"|Floating point exception|Trace/breakpoint trap)(?: |$)"
    r"|^Fatal Python error: |^terminate called |^!+ Segfault encountered|\(core dumped\)"
    r"|^(?:free|malloc|realloc|munmap_chunk)\(\): |^double free or corruption|^corrupted size"
    r"|^Memory access fault by GPU|^\*\*\* stack smashing detected|Caught signal \d+ \("
    r"|^(?:Error: )?CUDA error\b|^thread '[^']*' panicked at"
    r"|^\S+: .*: Assertion `.*' failed\.?$"
)
# Exceptions that only point to another one, follow from another process's end, or say that the
# process was told to end.
WRAPPER = re.compile(
    r"see root cause above|failed core proc|died unexpectedly|for the root cause|front-end process"
    r"|^asyncio\.exceptions\.CancelledError|^KeyboardInterrupt|^SystemExit|EngineDeadError"
    r"|DeadError\b|engine loop (?:is not running|has died)|background loop (?:is not running|has)"
    r"|task finished unexpectedly|^ray\.exceptions\.(?:Actor|RayActor|Worker)\w*Error"
    r"|ChildFailedError|ProcessExitedException|BrokenProcessPool|^BrokenPipeError|^EOFError"
    r"|ConnectionResetError|ServerDisconnectedError|ClientConnectorError|ClientOSError"
    r"|Connection ?Refused|Connect call failed|Connection reset by peer|Connection closed by peer"
    r"|CalledProcessError: Command '\[?.*(?:serve|api_server|launch_server|cmake|ninja|pip|nvcc)"
    r"|RPC call to \w+ timed out|worker (?:proc|process|failed|died)|WorkerProc hit an exception"
    r"|failed due to an exception in a background process|^RuntimeError: cancelled$"
    r"|scheduler or detokenizer|child process|Rank \d+ scheduler is dead|^RemoteDisconnected"
    r"|received (?:signal|SIGTERM)|SignalException|^GracefulExit"
    r"|did not complete successfully: exit code|subprocess-exited-with-error"
    r"|NCCL communicator was aborted"
    r"|NCCL error\b.*(?:remote process|unhandled (?:system|cuda)|internal error)"
    r"|ncclRemoteError|remote process (?:has )?exited|Watchdog caught collective operation timeout"
    r"|NCCL operations have failed or timed out|collective operation timeout"
    r"|c10::Dist\w*Error|^(?:Fatal Python error: )?Aborted\b|Gloo connectFullMesh"
    r"|DistNetworkError|client socket has timed out|store->get\(|Gloo.*(?:closed|timed out)",
    re.IGNORECASE,
)
HEADER = "Traceback (most recent call last):"
CHAIN = re.compile(
    r"^During handling of the above exception, another exception occurred:"
    r"|^The above exception was the direct cause of the following exception:"
)
# Every line that matters has one of these; most of a log has none and is skipped quickly.
TELLING = re.compile(
    r'Traceback|File "|above exception|Error|Exception|Exit|Interrupt|fault|Abort|terminate called'
    r"|CUDA error|panicked"
    r"|Illegal instr|Floating point|dumped|Assertion|\(\): |corrupt|smashing|Caught signal|trap"
)
FRAME = re.compile(r'^File "(?P<file>[^"]+)", line \d+')
# An exception's message may take several lines; a process may end without any exception.
MESSAGE_LINES, LAST_LINES = 12, 20
# A runaway recursion has thousands of frames, in a few files.
MAX_FRAMES = 1000
# Processes of one log whose tracebacks are told apart.
MAX_SOURCES = 256
# Evidence is cut to what a person reads; a message that signatures search may be longer.
LONGEST = 4000
INSTALLED = re.compile(r"^.*/(?:site|dist)-packages/")
# Frames shown to a person: the innermost are the telling ones.
MOST = 30
HARMLESS = ("DEBUG", "INFO", "WARNING")

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

    @property
    def is_own(self) -> bool:
        """True if there is an exception that doesn't point to another."""
        return self.exception is not None and not self.points_on


class _Chain:
    """A traceback, or several that led to each other, while it is being read."""

    def __init__(self) -> None:
        self.frames: list[str] = []
        self.lines: list[Line] = []


class _Reader:
    """Reads the tracebacks of one process. ``latest`` is shared by all processes of a log: the last
    exception, by whether it only points to another."""

    def __init__(self, latest: dict[bool, tuple[Line, _Chain]]) -> None:
        self.latest = latest
        self.chain, self.chained, self.within, self.message = _Chain(), False, False, 0

    def take(self, number: int, raw: str) -> None:
        """Take the next line of this process."""
        if not self.message and not self.within and not TELLING.search(raw):
            return
        level, text = split(raw)
        text = text.strip()
        if text.endswith(HEADER):
            self.chain = self.chain if self.chained else _Chain()
            self.chained, self.within, self.message = False, True, 0
        elif CHAIN.match(text):
            self.chained = True
        elif frame := FRAME.match(text):
            if len(self.chain.frames) < MAX_FRAMES:
                self.chain.frames.append(frame["file"])
            self.within = True  # the header may have another prefix
        elif exception := _exception(text, level, below_frames=self.within):
            self._end(Line(number, exception))
        elif self.message and text:
            self.chain.lines.append(Line(number, text))
            self.message -= 1

    def _end(self, line: Line) -> None:
        if not self.within:  # a logger's line about an exception, without its traceback
            self.chain = _Chain()
        self.chain.lines.append(line)
        self.latest[bool(WRAPPER.search(line.text))] = (line, self.chain)
        self.within, self.message = False, MESSAGE_LINES


def _exception(text: str, level: str, *, below_frames: bool) -> str | None:
    """Return the text of the exception that a line names, or None."""
    if EXCEPTION_LINE.match(text) or NATIVE.search(text):
        return text
    if below_frames and NAMED.match(text):
        return text
    return embedded_exception(text) if level not in HARMLESS else None


def is_native(text: str) -> bool:
    """Return True if a line tells of a process's end without Python's words."""
    return NATIVE.search(text) is not None and EXCEPTION_LINE.match(text) is None


def embedded_exception(text: str) -> str | None:
    """Return the exception that stands behind other words on a line, or None."""
    if "Error: " not in text and "Exception: " not in text:
        return None
    embedded = EMBEDDED.search(text)
    return embedded["exception"] if embedded else None


def read(numbered: Iterable[tuple[int, str]]) -> Ending:
    """Return the ending of a log, from its numbered lines."""
    last_lines: deque[tuple[int, str]] = deque(maxlen=LAST_LINES)
    latest: dict[bool, tuple[Line, _Chain]] = {}  # True: exceptions that only point to another
    readers: dict[str, _Reader] = {}
    for number, raw in numbered:
        if not raw:
            continue
        last_lines.append((number, raw))
        name = source(raw)
        name = name if name in readers or len(readers) < MAX_SOURCES else ""
        if name not in readers:
            readers[name] = _Reader(latest)
        readers[name].take(number, raw)
    exception, ended = latest.get(False) or latest.get(True) or (None, _Chain())
    last = ((number, split(raw)) for number, raw in last_lines)
    shown = [Line(n, line.text.strip()) for n, line in last if line.level not in HARMLESS]
    lines = {line.number: line for line in (*ended.lines, *shown) if line.text}
    return Ending(
        exception=exception,
        points_on=exception is not None and False not in latest,
        frames=tuple(dict.fromkeys(ended.frames)),
        lines=tuple(lines[number] for number in sorted(lines)),
    )


def ending(files: Iterable[Path]) -> tuple[Ending, Path] | None:
    """Return the ending of the process that wrote these logs, and the log that shows it: the first
    with a Python exception that points to no other, else the first with an abort of native code,
    else the first with any; None without exceptions."""
    ends = [(read(numbered_lines(path, LONGEST)), path) for path in files]
    return min(((end, path) for end, path in ends if end.exception), key=_rank, default=None)


def _rank(shown: tuple[Ending, Path]) -> int:
    end, _ = shown
    assert end.exception is not None
    return 2 if end.points_on else int(is_native(end.exception.text))


def last_exception(path: Path) -> Evidence | None:
    """Return the last line of a log that names an exception, or None. An exception that only
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
