"""One printed line: decoration by other programs removed, and the metric in it."""

from __future__ import annotations

import re

from patchbench.parsing.names import METRICS, canonical
from patchbench.system import raw_logs

# Longest line of a result with bars and prefixes, and longest row without them, in characters.
MAX_LINE, MAX_ROW = 1000, 200

ANSI = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")
# A progress bar that ended without a line end: `100%|####| 30/30 [01:13<00:00,  2.43s/it]`.
BAR = re.compile(r"^.*\d%\|[^|]*\| *[\d.]+\w*/[\d.]+\w* \[[^\]]*\]")
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

NUMBER = r"[-+]?(?:\d[\d,]*\.?\d*(?:[eE][-+]?\d+)?|inf|nan)"
ROW = re.compile(
    rf"^\s*(?P<label>[A-Za-z0-9(][^:]*?)\s*(?:\((?P<unit>[A-Za-z/%]+)\))?:"
    rf"\s+(?P<value>{NUMBER})\s*(?P<suffix>[A-Za-z/%]+)?\s*$",
    re.ASCII,
)

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
        text = BAR.sub("", text)
    return PREFIX.sub("", text)


def number(text: str) -> float:
    """Return a printed number, which may have thousands separators."""
    return float(text.replace(",", ""))


def row(line: str) -> tuple[str, float, bool] | None:
    """Return a metric's canonical name, its value in the metric's unit, and True if a unit was
    printed; None if the line is no such row or its unit does not fit the metric."""
    match = ROW.match(line) if len(line) <= MAX_ROW else None
    name = canonical(match["label"]) if match else None
    if not match or not name:
        return None
    printed, value = match["unit"] or match["suffix"], number(match["value"])
    if printed is None:
        return name, value, False
    unit, canonical_unit = UNITS.get(printed), METRICS[name].unit
    factor = 1.0 if unit == canonical_unit else FACTORS.get((unit or "", canonical_unit))
    return None if factor is None else (name, value * factor, True)
