"""Texts that give a cause away, infrastructure first: the first match names the cause.

Each row quotes the literal line that it was taken from. A pattern is searched line by line, so
the evidence is one line with its number.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from patchbench.records import Evidence

MAX_LINE = 400


class Signature(NamedTuple):
    """A cause and the pattern that shows it; ``example`` is a line as some program printed it."""

    cause: str
    pattern: re.Pattern[str]
    example: str


def _signature(cause: str, pattern: str, example: str) -> Signature:
    return Signature(cause, re.compile(pattern, re.IGNORECASE), example)


SIGNATURES: tuple[Signature, ...] = (
    _signature(
        "infra.disk_full",
        r"no space left on device|disk quota exceeded",
        "OSError: [Errno 28] No space left on device: '/f1613'",
    ),
    _signature(
        "infra.oom",
        r"cannot allocate memory|out of memory: killed process|\boom-kill",
        "OSError: [Errno 12] Cannot allocate memory",
    ),
    _signature(
        "infra.gpu",
        r"nvrm: xid|cuda error: .*(ecc|hardware)|nvml.*driver/library version mismatch",
        "Failed to initialize NVML: Driver/library version mismatch",
    ),
    _signature(
        "infra.port_taken",
        r"address already in use",
        "OSError: [Errno 98] error while attempting to bind: address already in use",
    ),
    _signature(
        "infra.network",
        r"temporary failure in name resolution|toomanyrequests|no such host",
        "dial tcp: lookup REGISTRY: no such host",
    ),
)

# What a logger puts before a line, as vLLM does:
# `(EngineCore pid=13121) ERROR 11-22 11:58:03 [core.py:1510] ImportError: ...`
LOG_PREFIX = re.compile(r"^(?:\([^)]*\) )?(?:[A-Z]+ [\d-]+ [\d:.,]+ \[[^\]]*\] )?")
# The line of a Python traceback that says what went wrong (`SomeError: text`, `a.b.Error`).
EXCEPTION_LINE = re.compile(r"^(?:[A-Za-z_]\w*\.)*[A-Z]\w*(?:Error|Exception|Exit|Interrupt)\b")
# Exceptions that only say that there was another one, further up.
WRAPPER = re.compile(r"see root cause above|failed core proc|died unexpectedly", re.IGNORECASE)


def first(lines: Iterable[str]) -> str | None:
    """The infrastructure cause that some lines give away, or None."""
    lines = list(lines)
    for signature in SIGNATURES:
        if any(signature.pattern.search(line) for line in lines):
            return signature.cause
    return None


def search(files: Iterable[Path]) -> list[tuple[str, Evidence]]:
    """All signature matches in the files, in the order of the table (first one decides)."""
    found: dict[str, Evidence] = {}
    for path in files:
        for number, line in numbered_lines(path):
            for signature in SIGNATURES:
                if signature.cause not in found and signature.pattern.search(line):
                    found[signature.cause] = Evidence(text=line, file=str(path), line=number)
    rank = [signature.cause for signature in SIGNATURES]
    return sorted(found.items(), key=lambda item: rank.index(item[0]))


def last_exception(path: Path) -> Evidence | None:
    """The last line in a log that names a Python exception, or None. One that only points to
    another counts if there is no other."""
    last = wrapper = None
    for number, line in numbered_lines(path):
        text = LOG_PREFIX.sub("", line)
        if EXCEPTION_LINE.match(text):
            found = Evidence(text=text, file=str(path), line=number)
            if WRAPPER.search(text):
                wrapper = found
            else:
                last = found
    return last or wrapper


def last_line(path: Path) -> Evidence | None:
    """The last line of a log that isn't blank, or None."""
    last = None
    for number, line in numbered_lines(path):
        if line:
            last = Evidence(text=line, file=str(path), line=number)
    return last


def numbered_lines(path: Path) -> Iterable[tuple[int, str]]:
    """Lines of a log, stripped and cut to a readable length; a missing file has none."""
    if not path.is_file():
        return
    # Only \n ends a line, as for every other tool: a progress bar's \r would shift the numbers.
    with path.open(encoding="utf-8", errors="replace", newline="\n") as file:
        for number, line in enumerate(file, 1):
            yield number, line.rstrip("\r\n").rsplit("\r", 1)[-1].strip()[:MAX_LINE]
