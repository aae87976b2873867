"""The table of signatures (``signatures.json``): what its fields mean, which lines fit a row."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from functools import cache
from pathlib import Path
from typing import Literal, NamedTuple

import msgspec

from patchbench.failures import gpu_memory
from patchbench.failures.causes import CAUSES

# Where no other name is given, what may be missing because of a patch.
ENGINES = ("vllm", "sglang")


class Signature(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One row. A line fits if it has the ``text`` and the ``pattern`` (if there is one; both
    without regard to case), and passes the ``check``.

    ``where``: "end" rows are asked only of lines that speak of the process's end, since a log is
    full of exceptions that did no harm; "log" rows of all lines but those of level INFO.
    ``scope``: "engine" rows only of what the container engine or the kernel said, "process" rows
    only of what a launched process wrote.
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
        """Whether the row shows a fault of the machine."""
        return CAUSES[self.cause].blame == "infra"


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    about: str
    signatures: tuple[Signature, ...]


class Asked(NamedTuple):
    """What is known of the launch whose lines are asked. ``versions`` of its packages (none known:
    rows of any engine hold, rows of certain versions don't), ``packages`` that are the subject's
    own, ``said_by``: a process, the engine, or a log that mixes both."""

    versions: Mapping[str, str] = {}
    runtime: str = ""
    packages: Collection[str] = ()
    said_by: Literal["process", "engine", "both"] = "process"


@cache
def table() -> tuple[Signature, ...]:
    """All rows, in the order in which they are asked."""
    file = Path(__file__).with_name("signatures.json")
    return msgspec.json.decode(file.read_bytes(), type=_File).signatures


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.IGNORECASE)


def _foreign_package(match: re.Match[str] | None, _: str, asked: Asked) -> bool:
    """Whether a package that can't be imported is none of the subject's own."""
    return match is not None and match["package"] not in (asked.packages or ENGINES)


def _held_by_others(_: re.Match[str] | None, line: str, __: Asked) -> bool:
    return gpu_memory.held_by_others(line)


CHECKS: dict[str, Callable[[re.Match[str] | None, str, Asked], bool]] = {
    "foreign_package": _foreign_package,
    "held_by_others": _held_by_others,
}


def version(text: str) -> tuple[int, ...]:
    """The leading numbers of a version: (0, 6, 4) of 0.6.4.post1."""
    return tuple(int(part) for part in re.findall(r"\d+", re.split(r"[^\d.]", text)[0]))


def holds(signature: Signature, asked: Asked) -> bool:
    """Whether a row holds where these lines were written."""
    if signature.runtime and signature.runtime != asked.runtime:
        return False
    if asked.said_by != "both" and signature.scope not in ("any", asked.said_by):
        return False
    installed = asked.versions.get(signature.engine)
    if signature.engine and asked.versions and installed is None:
        return False
    if not signature.since and not signature.until:
        return True
    if installed is None or not version(installed):
        return False
    late = not signature.since or version(installed) >= version(signature.since)
    return late and (not signature.until or version(installed) < version(signature.until))


def fits(signature: Signature, line: str, asked: Asked) -> bool:
    """Whether a line, without what a logger put before it, is one that the row is about."""
    if signature.text not in line.lower():
        return False
    match = _compiled(signature.pattern).search(line) if signature.pattern else None
    if signature.pattern and match is None:
        return False
    return not signature.check or CHECKS[signature.check](match, line, asked)
