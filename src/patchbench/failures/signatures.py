"""Signatures: log lines that give a cause away (``signatures.json``), and the search for them.

Only logs of failed launches are searched: a server that found its port taken, waited and went on
has not failed. A line belongs to the first row of the table that fits it. The rows stand in the
order machine, image, task, process, so that a full disk is never mistaken for a bad patch.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from functools import cache, cached_property
from itertools import pairwise
from pathlib import Path
from typing import Literal, NamedTuple

import msgspec

from patchbench.failures import gpu_memory
from patchbench.failures.causes import CAUSES
from patchbench.failures.log_lines import plain, split
from patchbench.failures.tracebacks import LONGEST, Ending, Line, embedded_exception, read
from patchbench.records import Evidence
from patchbench.system.raw_logs import MAX_LINE, blocks, find, numbered_lines, visible


class Signature(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One row. A line fits if it has the ``text`` and the ``pattern`` (if there is one; both
    without regard to case), and passes the ``check``.

    ``where``: "end" rows fit only lines about the process's end, since a log is full of exceptions
    that did no harm; "alone" rows are effects, which count only if no log shows an exception of its
    own; "log" rows fit all lines except those of level DEBUG and INFO.
    ``scope``: the writer of such lines: a launched process, a "build" (pip, cmake, docker build),
    or what stands outside of both ("engine": the container engine and its tools, "scheduler",
    "kernel").
    ``sandboxed``: the cause if a process in a sandbox wrote the line while the host had room.
    ``engine``, ``since`` (a version), ``until`` (the first version without), ``runtime``: where the
    row holds; empty for everywhere. ``example`` is a line as some program printed it, ``source``
    where it was seen.
    """

    cause: str
    text: str
    example: str
    source: str
    pattern: str = ""
    check: str = ""
    where: Literal["end", "log", "alone"] = "end"
    scope: Literal["process", "build", "engine", "scheduler", "kernel"] = "process"
    sandboxed: str = ""
    engine: str = ""
    since: str = ""
    until: str = ""
    runtime: str = ""

    @property
    def of_machine(self) -> bool:
        """True if the row shows a fault of the machine."""
        return CAUSES[self.cause].blame == "infra"


class Origin(NamedTuple):
    """The origin of log lines. ``versions`` of the packages (if none is known, rows of any engine
    hold, and rows of certain versions don't), ``packages`` that are the subject's own, ``writer``:
    an arm's process, or any program (a container engine, a scheduler, a mix of all)."""

    versions: Mapping[str, str] = {}
    runtime: str = ""
    packages: Collection[str] = ()
    writer: Literal["process", "any"] = "process"


ANYWHERE = Origin()
# Writers that no process of a launch can be.
OUTSIDE = ("engine", "scheduler", "kernel")


class Match(NamedTuple):
    """A row and the line that it claims. ``at_end`` is False if the log goes on after the line and
    ends with an exception that has nothing to do with it."""

    signature: Signature
    evidence: Evidence
    at_end: bool = True

    @property
    def cause(self) -> str:
        """The cause that the line shows, taken by itself."""
        return self.signature.cause


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    about: str
    engines: tuple[str, ...]
    signatures: tuple[Signature, ...]


@cache
def _file() -> _File:
    file = Path(__file__).with_name("signatures.json")
    return msgspec.json.decode(file.read_bytes(), type=_File)


def table() -> tuple[Signature, ...]:
    """Return all rows; an earlier row goes before a later one."""
    return _file().signatures


# --- does a row fit a line? ------------------------------------------------------------------


def version(text: str) -> tuple[int, ...]:
    """Return the leading numbers of a version: (0, 6, 4) for 0.6.4.post1."""
    return tuple(int(part) for part in re.findall(r"\d+", re.split(r"[^\d.]", text)[0]))


def holds(signature: Signature, origin: Origin) -> bool:
    """Return True if the row holds for lines of this origin."""
    if signature.runtime and origin.runtime and signature.runtime != origin.runtime:
        return False
    if origin.writer == "process" and signature.scope != "process":
        return False
    installed = origin.versions.get(signature.engine)
    if signature.engine and origin.versions and installed is None:
        return False
    if not signature.since and not signature.until:
        return True
    if installed is None or not version(installed):
        return False
    late = not signature.since or version(installed) >= version(signature.since)
    return late and (not signature.until or version(installed) < version(signature.until))


def _foreign_package(match: re.Match[str] | None, _: str, origin: Origin) -> bool:
    """Return True if the package that can't be imported is not the subject's own. Without known
    packages, the engines that the table names count as the subject's."""
    return match is not None and match["package"] not in (origin.packages or _file().engines)


def _own_package(match: re.Match[str] | None, line: str, origin: Origin) -> bool:
    return match is not None and not _foreign_package(match, line, origin)


def _is_gpu_crowded(_: re.Match[str] | None, line: str, __: Origin) -> bool:
    return gpu_memory.is_crowded(line)


LOCAL = re.compile(r"127\.0\.0\.1|localhost|0\.0\.0\.0|\[::1?\]", re.IGNORECASE)


def _is_remote(_: re.Match[str] | None, line: str, __: Origin) -> bool:
    """Return True if the line names no address of this machine: a client whose server is gone says
    the same as one that reaches no hub."""
    return not LOCAL.search(line)


CHECKS: dict[str, Callable[[re.Match[str] | None, str, Origin], bool]] = {
    "foreign_package": _foreign_package,
    "own_package": _own_package,
    "held_by_others": _is_gpu_crowded,
    "remote": _is_remote,
}


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.IGNORECASE)


def fits(signature: Signature, line: str, origin: Origin) -> bool:
    """Return True if the row fits a line (without its logger's prefix)."""
    if signature.text not in line.lower():
        return False
    match = _compiled(signature.pattern).search(line) if signature.pattern else None
    if signature.pattern and match is None:
        return False
    return not signature.check or CHECKS[signature.check](match, line, origin)


def claim(line: str, rows: Iterable[Signature], origin: Origin, at_end: bool) -> Signature | None:
    """Return the first row that fits a line as it stands in a log, or None."""
    level, text = split(line)
    if level in ("DEBUG", "INFO"):
        return None
    return _first_fit(text.strip(), rows, origin, at_end and level != "WARNING")


def _first_fit(
    text: str, rows: Iterable[Signature], origin: Origin, at_end: bool
) -> Signature | None:
    exception = embedded_exception(text)
    for row in rows:
        if row.where != "log" and not at_end:
            continue
        if fits(row, text, origin) or (exception and fits(row, exception, origin)):
            return row
    return None


# --- searching logs --------------------------------------------------------------------------


class Claim(NamedTuple):
    """A row and the line that it claims in one log."""

    row: Signature
    line: Line
    at_end: bool


def matches(files: Iterable[Path], origin: Origin = ANYWHERE) -> list[Match]:
    """Search logs; return for each cause its first line, in the table's order. A line at a log's
    end goes before one that the log went on after."""
    rows = [row for row in table() if holds(row, origin)]
    found: list[Match] = []
    own_exception = False
    for path in files:
        if find(path) is None:
            continue
        end = _Lazy(lambda path=path: _end_of(path))  # type: ignore[misc]
        claims = list(_claims(_candidates(path, rows), rows, end, origin))
        if any(one.row.where == "alone" for one in claims):
            own_exception = own_exception or end.value.is_own
        for row, line, at_end in claims:
            evidence = Evidence(text=plain(line.text)[:MAX_LINE], file=str(path), line=line.number)
            found.append(Match(row, evidence, at_end))
    if own_exception:
        found = [match for match in found if match.signature.where != "alone"]
    first: dict[str, Match] = {}
    for match in sorted(found, key=lambda one: not one.at_end):
        first.setdefault(match.cause, match)
    return sorted(first.values(), key=lambda match: _rank(match.cause))


def in_lines(lines: Iterable[str], origin: Origin) -> list[tuple[str, Line]]:
    """Search lines in memory; return each cause with its first line, counted from 1. A fault of the
    machine after which the lines went on to another exception is left out."""
    rows = [row for row in table() if holds(row, origin)]
    numbered = [Line(number, text) for number, text in enumerate(lines, 1)]
    end = _Lazy(lambda: read(numbered))
    claims = list(_claims(((line, rows) for line in numbered), rows, end, origin))
    if any(one.row.where == "alone" for one in claims) and end.value.is_own:
        claims = [one for one in claims if one.row.where != "alone"]
    first_by_cause: dict[str, Line] = {}
    for row, line, at_end in claims:
        if at_end or not row.of_machine:
            first_by_cause.setdefault(row.cause, Line(line.number, plain(line.text)))
    return sorted(first_by_cause.items(), key=lambda item: _rank(item[0]))


def machine_fault(
    lines: Iterable[str], writer: Literal["process", "any"] = "process"
) -> str | None:
    """Return the first cause in the lines that is the machine's fault, or None."""
    causes = in_lines(lines, Origin(writer=writer))
    return next((cause for cause, _ in causes if CAUSES[cause].blame == "infra"), None)


@cache
def _ranks() -> dict[str, int]:
    return {row.cause: at for at, row in reversed([*enumerate(table())])}


def _rank(cause: str) -> int:
    return _ranks()[cause]


def _end_of(path: Path) -> Ending:
    return read(numbered_lines(path, LONGEST))


class _Lazy:
    """The ending of a log, read once and only if it is needed."""

    def __init__(self, make: Callable[[], Ending]) -> None:
        self.make = make

    @cached_property
    def value(self) -> Ending:
        """The ending."""
        return self.make()

    @cached_property
    def numbers(self) -> set[int]:
        """The numbers of the lines about the end."""
        return {line.number for line in self.value.lines}

    def is_about_end(self, number: int) -> bool:
        """Return True if the log does not end with an exception apart from this line."""
        return not self.value.is_own or number in self.numbers


def _claims(
    candidates: Iterable[tuple[Line, list[Signature]]],
    rows: list[Signature],
    end: _Lazy,
    origin: Origin,
) -> Iterator[Claim]:
    """Yield rows with the lines that they claim; if there is none, with lines at the end that a
    terminal has wrapped. ``end`` is read only if a row needs it."""
    claimed = False
    for line, near in candidates:
        needs_end = any(row.where != "log" for row in near)
        if row := claim(line.text, near, origin, needs_end and line.number in end.numbers):
            claimed = True
            outside = row.scope in OUTSIDE
            yield Claim(row, line, outside or end.is_about_end(line.number))
    if claimed:
        return
    for first, second in pairwise(end.value.lines):
        if second.number == first.number + 1:
            for text in (f"{first.text}{second.text}", f"{first.text} {second.text}"):
                if row := _first_fit(text, rows, origin, at_end=True):
                    yield Claim(row, Line(first.number, text), True)
                    break


def _candidates(path: Path, rows: list[Signature]) -> Iterator[tuple[Line, list[Signature]]]:
    """Yield lines that contain some row's text, with those rows. Whole blocks of the log are
    searched first: most contain none of the texts."""
    texts = [(row, row.text.encode()) for row in rows]
    for first_number, data in blocks(path):
        low = data.lower()
        near = [(row, text) for row, text in texts if text in low]
        if not near:
            continue
        for number, raw in enumerate(data.removesuffix(b"\n").split(b"\n"), first_number):
            small = raw.lower()
            if candidates := [row for row, text in near if text in small]:
                yield Line(number, visible(raw).strip()[:LONGEST]), candidates
