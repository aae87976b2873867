"""One printed line: what other programs put around it, and the metric that it holds."""

from __future__ import annotations

import re

from patchbench.parsing.names import METRICS, canonical
from patchbench.system import raw_logs

# A longer line, bars and prefixes included, is no result; neither is a longer row without them.
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

# What the tools print for a unit -> the unit of METRICS.
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
    """A line without colours, log prefixes and what a progress bar wrote before it; empty if it
    is too long to be a result."""
    text = ANSI.sub("", raw_logs.visible(line))
    if len(text) > MAX_LINE:
        return ""
    if "%|" in text:
        text = BAR.sub("", text)
    return PREFIX.sub("", text)


def number(text: str) -> float:
    """A printed number; thousands separators are taken out."""
    return float(text.replace(",", ""))


def row(line: str) -> tuple[str, float, bool] | None:
    """A canonical metric, its value in the metric's unit, and whether a unit was printed; None for
    a line that is no such row or has a unit that the metric can't have."""
    found = ROW.match(line) if len(line) <= MAX_ROW else None
    name = canonical(found["label"]) if found else None
    if not found or not name:
        return None
    printed, value = found["unit"] or found["suffix"], number(found["value"])
    if printed is None:
        return name, value, False
    unit, wanted = UNITS.get(printed), METRICS[name].unit
    factor = 1.0 if unit == wanted else FACTORS.get((unit or "", wanted))
    return None if factor is None else (name, value * factor, True)
