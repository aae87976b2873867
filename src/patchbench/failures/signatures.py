"""Signatures: log lines that give a cause away (``signatures.json``), and the search for them.

Only logs of failed launches are searched: a server that found its port taken, waited and went on
has not failed. A line belongs to the first row of the table that fits it. The rows stand in the
order machine, image, task, process, so that a full disk is never mistaken for a bad patch.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from functools import cache, partial
from pathlib import Path
from typing import Literal, NamedTuple

import msgspec

from patchbench.failures import gpu_memory
from patchbench.failures.causes import CAUSES
from patchbench.failures.tracebacks import LEVEL, LONGEST, Ending, Line, plain, read
from patchbench.records import Evidence
from patchbench.system.raw_logs import MAX_LINE, blocks, find, numbered_lines, visible


class Signature(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One row. A line fits if it has the ``text`` and the ``pattern`` (if there is one; both
    without regard to case), and passes the ``check``.

    ``where``: "end" rows fit only lines about the process's end, since a log is full of exceptions
    that did no harm; "log" rows fit all lines except those of level DEBUG and INFO.
    ``scope``: "engine" rows fit only lines of the container engine or the kernel, "process" rows
    only lines of a launched process.
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
    where: Literal["end", "log"] = "end"
    scope: Literal["any", "engine", "process"] = "any"
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
    a process, the container engine (or kernel), or a log that mixes both."""

    versions: Mapping[str, str] = {}
    runtime: str = ""
    packages: Collection[str] = ()
    writer: Literal["process", "engine", "both"] = "process"


ANYWHERE = Origin()


class Match(NamedTuple):
    """A row and the line that it claims."""

    signature: Signature
    evidence: Evidence

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
    if signature.runtime and signature.runtime != origin.runtime:
        return False
    if origin.writer != "both" and signature.scope not in ("any", origin.writer):
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


def _is_gpu_crowded(_: re.Match[str] | None, line: str, __: Origin) -> bool:
    return gpu_memory.is_crowded(line)


CHECKS: dict[str, Callable[[re.Match[str] | None, str, Origin], bool]] = {
    "foreign_package": _foreign_package,
    "held_by_others": _is_gpu_crowded,
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
    level = LEVEL.match(line)
    if level and level["level"] in ("DEBUG", "INFO"):
        return None
    warned, text = bool(level and level["level"] == "WARNING"), plain(line)
    for row in rows:
        eligible = row.where == "log" or (at_end and not warned)
        if eligible and fits(row, text, origin):
            return row
    return None


# --- searching logs --------------------------------------------------------------------------


def matches(files: Iterable[Path], origin: Origin = ANYWHERE) -> list[Match]:
    """Search logs; return for each cause its first line, in the table's order."""
    rows = [row for row in table() if holds(row, origin)]
    first_by_cause: dict[str, Match] = {}
    for path in files:
        if find(path) is None:
            continue
        for row, line in _claimed(_candidates(path, rows), partial(_end_of, path), origin):
            evidence = Evidence(text=plain(line.text)[:MAX_LINE], file=str(path), line=line.number)
            first_by_cause.setdefault(row.cause, Match(row, evidence))
    return sorted(first_by_cause.values(), key=lambda match: _rank(match.cause))


def in_lines(lines: Iterable[str], origin: Origin) -> list[tuple[str, Line]]:
    """Search lines in memory; return each cause with its first line, counted from 1."""
    rows = [row for row in table() if holds(row, origin)]
    numbered = [Line(number, text) for number, text in enumerate(lines, 1)]
    first_by_cause: dict[str, Line] = {}
    for row, line in _claimed(((line, rows) for line in numbered), lambda: read(numbered), origin):
        first_by_cause.setdefault(row.cause, Line(line.number, plain(line.text)))
    return sorted(first_by_cause.items(), key=lambda item: _rank(item[0]))


def machine_fault(
    lines: Iterable[str], writer: Literal["process", "engine", "both"] = "process"
) -> str | None:
    """Return the first cause in the lines that is the machine's fault, or None."""
    causes = in_lines(lines, Origin(writer=writer))
    return next((cause for cause, _ in causes if CAUSES[cause].blame == "infra"), None)


def _rank(cause: str) -> int:
    return next(at for at, row in enumerate(table()) if row.cause == cause)


def _end_of(path: Path) -> Ending:
    return read(numbered_lines(path, LONGEST))


def _claimed(
    candidates: Iterable[tuple[Line, list[Signature]]], ending: Callable[[], Ending], origin: Origin
) -> Iterator[tuple[Signature, Line]]:
    """Yield rows with the lines that they claim. ``ending`` is called only if a row needs it."""
    end: set[int] | None = None
    for line, rows in candidates:
        if end is None and any(row.where == "end" for row in rows):
            end = {final.number for final in ending().lines}
        if row := claim(line.text, rows, origin, end is not None and line.number in end):
            yield row, line


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
