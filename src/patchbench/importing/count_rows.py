"""Reading a table of counts: a CSV whose rows are checked one by one.

Statuses and causes may be in our words or in those of ISO-Bench's reports.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from patchbench.errors import BadInput
from patchbench.failures.causes import CAUSES
from patchbench.importing.ended import Status
from patchbench.subject import BENCH_TYPES, BenchType

COLUMNS = ("agent", "commit", "status", "cause", "type")
OPTIONAL = ("count", "source")
COMMIT = re.compile(r"[0-9a-f]{7,40}")

STATUSES: dict[str, Status] = {
    "measured": "measured",
    "success": "measured",
    "successful": "measured",
    "failed": "failed",
    "failure": "failed",
    "error": "failed",
    "timeout": "failed",
    "missing": "missing",
    "no patch": "missing",
    "pending": "pending",
}
TOTALS: dict[str, tuple[Status, ...]] = {
    "total": ("measured", "failed", "missing", "pending"),
    "total measured": ("measured",),
    "total failed": ("failed",),
    "total missing": ("missing",),
}
# Rows that say where so many of an agent's unnamed patches came from.
SOURCES = "patches"
# How ISO-Bench's reports call a failure.
SAID: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"server crashed( after (applying )?patch)?"), "server.crash"),
    (re.compile(r"server startup timeout( after patch)?"), "server.timeout"),
    (re.compile(r"no (\w+ )?metrics( in( agent)? output)?"), "bench.no_metrics"),
    (re.compile(r"missing parent(_commit)?"), "task.no_parent"),
    (re.compile(r"time-?out( \(\d+ ?s\))?"), "bench.timeout"),
    (re.compile(r""), "unknown"),
)


class Row(NamedTuple):
    """One line of the table, checked."""

    line: int
    agent: str
    commit: str
    status: str
    cause: str | None
    type: BenchType | None
    times: int
    source: str
    said: str


def read(path: Path) -> Iterator[Row]:
    """All lines of a table. Raises BadInput that names the file, the line and what is wrong."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            names = [str(name).strip() for name in reader.fieldnames or ()]
            reader.fieldnames = names
            absent = [name for name in COLUMNS if name not in names]
            unknown = [name for name in names if name not in (*COLUMNS, *OPTIONAL)]
            if absent or unknown:
                wrong = f"no column {absent[0]!r}" if absent else f"column {unknown[0]!r}"
                raise BadInput(
                    f"{path}: {wrong}; a table of counts has {', '.join(COLUMNS)}, and may have "
                    f"{' and '.join(OPTIONAL)}"
                )
            lines = list(enumerate(reader, 2))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise BadInput(f"{path}: can't be read: {error}") from error
    for line, record in lines:
        yield _row(path, line, {k: (v or "").strip() for k, v in record.items() if k})


def _row(path: Path, line: int, record: dict[str, str]) -> Row:
    def wrong(what: str) -> BadInput:
        return BadInput(f"{path}: line {line}: {what}")

    status = record["status"].lower().replace("_", " ")
    known = (*STATUSES, *TOTALS, SOURCES)
    if status not in known:
        raise wrong(f"status {record['status']!r}; known: {', '.join(known)}")
    commit = record["commit"].lower()
    if commit and not COMMIT.fullmatch(commit):
        raise wrong(f"commit {record['commit']!r} is no hash")
    count = record.get("count") or "1"
    if not count.isdigit() or (commit and count != "1"):
        raise wrong(f"count {count!r}: a whole number, and 1 (or none) where a commit is named")
    if not record["agent"]:
        raise wrong("no agent")
    kind = record["type"].lower().replace(" ", "_")
    if kind and kind not in BENCH_TYPES:
        raise wrong(f"type {record['type']!r}; known: {', '.join(BENCH_TYPES)}")
    ended = STATUSES.get(status, status)
    if ended == "measured" and not kind:
        raise wrong("a success without a type: types could not sum to successes")
    cause = None
    if ended == "failed":
        cause = cause_of(record["cause"])
        if cause is None:
            raise wrong(f"cause {record['cause']!r} is neither one of ours nor of ISO-Bench's")
    return Row(
        line,
        record["agent"],
        commit,
        ended,
        cause,
        kind or None,
        int(count),
        record.get("source", ""),
        record["cause"],
    )


def cause_of(text: str) -> str | None:
    """A cause in our words or in those of ISO-Bench's reports; None for any other text."""
    if text in CAUSES:
        return text
    return next((cause for said, cause in SAID if said.fullmatch(text.lower())), None)
