"""One printed line: decoration by other programs removed, and the metric in it."""

from __future__ import annotations

import math
import re

from patchbench.parsing.names import METRICS, canonical
from patchbench.system import raw_logs

# Longest line of a result with bars and prefixes, and longest row without them, in characters.
MAX_LINE, MAX_ROW = 1000, 200

ANSI = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")
# A progress bar that shares its line with a row: `Profiling: 100%|##| 3/3 [01:13<00:00, 2.4s/it]`.
BAR = re.compile(
    r"(?:(?<!\S)[A-Z][\w ()/-]*: *)?(?<!\d)\d+%\|[^|]*\| *[\d.]+\w*/[\d.]+\w* \[[^\]]*\]"
)
# Marks of a list, a quotation or a comment before a row.
MARK = re.compile(r"^\s*(?:[>#*+-] +)+(?=\S)")
PREFIXES = (
    r"\[\d+,\d+\]<std(?:out|err)>:",  # mpirun
    r"\d{4}-\d\d-\d\d[T ][\d:.,]+(?:Z|[+-]\d\d:?\d\d)? (?:std(?:out|err) [FP] )?",  # docker logs -t
    r"[\w.-]+ +\| ",  # docker compose
    r"\((?:\w[\w.-]* )?(?:rank=\d+ )?(?:\w+ )?pid=\d+[^)]*\) ?",  # vLLM's and Ray's processes
    r"\[rank\d+\]: ?",  # torch
    r"(?:DEBUG|INFO|WARNING|ERROR|CRITICAL) [\d-]+ [\d:.,]+ (?:\[[^\]]*\]|[\w.]+:\d+\]) ?",  # vLLM
    r"\[\d{4}-\d\d-\d\d [\d:.,]+(?: \w+)*\] ?",  # SGLang
)
PREFIX = re.compile(f"^(?:{'|'.join(PREFIXES)})+")

NUMBER = r"[-+]?(?:\d(?:[\d,.]*[\d.])?(?:[eE][-+]?\d+)?|inf|nan)"
# Behind the value may stand its unit, then a note.
ROW = re.compile(
    rf"^\s*(?P<label>[A-Za-z0-9(][^:]*?)\s*(?:\((?P<unit>[A-Za-z/%]+)\))?:"
    rf"\s+(?P<value>{NUMBER})(?![\w/'])\s*(?P<suffix>[A-Za-z/%]+)?"
    rf"(?P<note>\s*(?:,\s.*|[^\w\s.,%/:'-].*)?)$"
    rf"|^\s*(?P<count>[A-Za-z][^:(]*?):\s+(?P<number>\d[\d,]*)\s+\S.*$",
    re.ASCII,
)
GROUPED = re.compile(r"[-+]?\d{1,3}(?:,\d{3})+(?:\.\d*)?(?:[eE][-+]?\d+)?")
DECIMAL_COMMA = re.compile(r"[-+]?(?:\d+|\d{1,3}(?:\.\d{3})+),\d+")
COUNTS = ("requests", "tokens")
# A count that decides if there is a result: it must not be passed over.
DECISIVE = re.compile(r"^\s*(?P<label>successful requests|failed requests)\s*:\s+\S", re.IGNORECASE)
# Words behind a value that are units, known or not; others are a note.
UNIT_WORD = re.compile(r"(?:[mun]?s|secs?|seconds|min(?:utes?|s)?|h(?:ours?|rs?)?|%|\w+/\w+)", re.I)
UNIT = re.compile(r"\s*\([A-Za-z/%]+\)\s*$")
TIME_COLUMN = re.compile(r"(?P<stem>ttft|tpot|itl|e2e)_ms", re.IGNORECASE)

# Unit as the tools print it -> unit of METRICS.
UNITS = {
    "ms": "ms",
    "s": "s",
    "seconds": "s",
    "req/s": "req/s",
    "requests/s": "req/s",
    "tok/s": "tok/s",
    "token/s": "tok/s",
    "tokens/s": "tok/s",
}
FACTORS = {("s", "ms"): 1000.0, ("ms", "s"): 0.001}


def clean(line: bytes) -> str:
    """Return a line without colours, log prefixes and a progress bar before it; empty if it is too
    long for a result."""
    text = ANSI.sub("", raw_logs.visible(line))
    if len(text) > MAX_LINE:
        return ""
    if "%|" in text:
        parts = [part.strip() for part in BAR.split(text) if part.strip()]
        text = parts[-1] if parts else ""
    return MARK.sub("", PREFIX.sub("", text)).lstrip()


def number(text: str, *, whole: bool = False) -> float:
    """Return a printed number, which may have separators of thousands or a decimal comma. A number
    such as 26,560 can be either: it is NaN, but for a ``whole`` number."""
    if "," not in text:
        return float(text) if text.count(".") < 2 else math.nan
    if GROUPED.fullmatch(text):
        return float(text.replace(",", "")) if whole or "." in text else math.nan
    if DECIMAL_COMMA.fullmatch(text) and not whole:
        return float(text.replace(".", "").replace(",", "."))
    return math.nan


def row(line: str) -> tuple[str, float, bool] | None:
    """Return a metric's canonical name, its value in the metric's unit, and True if a unit was
    printed; None if the line is no such row or its unit does not fit the metric."""
    match = ROW.match(line) if len(line) <= MAX_ROW else None
    name = canonical(match["label"] or match["count"]) if match else None
    if not match or not name:
        decisive = DECISIVE.match(line)
        name = canonical(decisive["label"]) if decisive else None
        return (name, math.nan, False) if name else None
    counts = METRICS[name].unit in COUNTS
    if match["count"] or (match["note"].strip() and match["suffix"] and counts):
        return (
            (name, number(match["number"] or match["value"], whole=True), False) if counts else None
        )
    unit, suffix = match["unit"], match["suffix"]
    if unit and suffix and UNIT_WORD.fullmatch(suffix) and UNITS.get(suffix) != UNITS.get(unit):
        return None
    printed, value = unit or suffix, number(match["value"], whole=counts)
    if printed is None:
        return name, value, False
    unit, canonical_unit = UNITS.get(printed), METRICS[name].unit
    factor = 1.0 if unit == canonical_unit else FACTORS.get((unit or "", canonical_unit))
    if factor is None:
        return (name, math.nan, False) if DECISIVE.match(line) else None
    return name, value * factor, True


def names_in(line: str) -> list[str]:
    """Return the metrics that a row of any table names: a printed row, cells between bars, or the
    columns or the index of a printed data frame."""
    if len(line) > MAX_ROW or not any(ch.isalpha() for ch in line):
        return []
    if printed := row(line):
        return [printed[0]]
    names = []
    for cell in re.split(r"\||\s{2,}", line):
        stem = TIME_COLUMN.fullmatch(cell.strip())
        name = f"{stem['stem'].lower()}_mean_ms" if stem else canonical(UNIT.sub("", cell))
        if name in METRICS and (stem or "|" in line):
            names.append(name)
    return names
