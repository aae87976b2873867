"""Lines of logs: colours and the prefixes of loggers and launchers removed, the level and the
process that they name."""

from __future__ import annotations

import re
from typing import NamedTuple

ANSI = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")
LEVELS = "DEBUG|INFO|WARNING|WARN|ERROR|CRITICAL"
# Prefixes without a level, in any order: vLLM `(EngineCore pid=7) `, SGLang `[2025-07-02 07:41:58
# DP0 TP0] `, torch `[rank0]: ` and `[E1123 10:11:12.1 ProcessGroupNCCL.cpp:616] `, Docker
# `2024-08-01T21:29:17.880Z `, buildkit `#10 4604.5 `, the kernel `[ 1234.567890] `, syslog.
PREFIXES = (
    r"\((?:[\w-]+ )*(?:rank=\d+ )?(?:\w+ )?pid=\d+[^)]*\) ?",
    r"\(raylet[^)]*\) ?",
    r"\[rank ?\d+\]:? ?",
    r"\[(?:rank)?\d+,\d+\]<std(?:out|err)>: ?",
    r"\[\d{4}-\d\d-\d\d [\d:.,]+(?: \w+)*\] ?",
    r"\[[EWIFC](?:\d{3,4})? [^\]\s]*[^\]]*\.(?:cpp|cc|py|h|hpp):\d+\] ?",
    r"[EWIF]\d{4} [\d:.]+ +\d+ \S+:\d+\] ?",
    r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d+)?(?:Z|[+-]\d\d:?\d\d)? "
    r"(?:std(?:out|err) [FP] )?(?:[-|] )?",
    r"#\d+ (?:\[[^\]]*\] )?(?:\d+\.\d+ +)?",
    r"\d+\.\d+ {2,}",
    r"\[ *\d+\.\d{3,6}\] ",
    r"\d+,\d+,\d+,[^;\s]*;",
    r"[A-Z][a-z]{2} +\d+ \d\d:\d\d:\d\d [\w.-]+ [\w./-]+(?:\[\d+\])?: ",
    r"[\w.-]+ +\| ",
    r"[\w.-]+:\d+:\d+ \[\d+\] (?=NCCL )",
    r"(?:> )+",
)
# vLLM `ERROR 11-22 11:58:03 [core.py:1510] `, older `ERROR 08-27 05:12:18 worker_base.py:382] `,
# `[ERROR] `, `ERROR:root:`, `ERROR: `, loguru `ERROR    | engine.core:run:12 - `.
LEVELLED = (
    rf"(?:{LEVELS}) [\d-]+ [\d:.,]+ (?:\[[^\]]*\]|[\w.]+:\d+\]) ?",
    rf"\[(?:{LEVELS})\]:? ?",
    rf"(?:{LEVELS})(?:    )? *\| (?:[\w.<>]+:[\w.<>]+:\d+ - )?",
    rf"(?:{LEVELS}) - ",
    rf"(?:{LEVELS}):(?:[\w.]+:)? *",
)
NOISE = re.compile(f"^(?:{'|'.join(PREFIXES)})+")
LEVEL_PREFIX = re.compile(f"^(?:{'|'.join(LEVELLED)})")
LEVEL = re.compile(rf"^\[?(?P<level>{LEVELS})\b")
# What tells processes that share a log apart.
SOURCE = re.compile(
    r"\[rank ?(\d+)\]|\bpid=(\d+)|\[(\d+,\d+)\]<std|^\[[\d-]+ [\d:.,]+((?: [TDPE]P\d+)+)\]"
)
SOURCE_WITHIN = 80


class LogLine(NamedTuple):
    """A line without what a logger put before it; ``level`` is empty if no logger wrote it."""

    level: str
    text: str


def split(line: str) -> LogLine:
    """Return a line's level and its text without colours and prefixes, not stripped."""
    text, level = (ANSI.sub("", line) if "\x1b" in line else line), ""
    while True:
        rest = NOISE.sub("", text)
        if found := LEVEL.match(rest):
            level = level or found["level"]
            rest = LEVEL_PREFIX.sub("", rest)
        if rest == text:
            return LogLine(level.replace("WARN", "WARNING") if level == "WARN" else level, text)
        text = rest


def plain(line: str) -> str:
    """Return a line without colours and the prefixes of loggers."""
    return split(line).text.strip()


def source(line: str) -> str:
    """Return the rank or process that a line's prefix names, or an empty text."""
    found = SOURCE.search(line[:SOURCE_WITHIN])
    return next((group.strip() for group in found.groups() if group), "") if found else ""
