"""Read and check a table of counts: a CSV with the columns agent, commit, status, cause, type, and
optionally count and source. Statuses and causes may be ours or those of ISO-Bench's reports."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from patchbench.errors import BadInput
from patchbench.failures.causes import CAUSES
from patchbench.importing.formats import HASH
from patchbench.subject import BENCH_TYPES

COLUMNS = ("agent", "commit", "status", "cause", "type")
OPTIONAL = ("count", "source")

STATUSES = {
    **dict.fromkeys(("measured", "success", "successful"), "measured"),
    **dict.fromkeys(("failed", "failure", "error", "timeout"), "failed"),
    **dict.fromkeys(("missing", "no patch"), "missing"),
    "pending": "pending",
}
# A printed total, and the statuses of the rows that it sums up.
TOTALS = {
    "total": ("measured", "failed", "missing", "pending"),
    "total measured": ("measured",),
    "total failed": ("failed",),
    "total missing": ("missing",),
}
# Rows that give the number of an agent's unnamed patches from one source.
SOURCES = "patches"
KNOWN = (*STATUSES, *TOTALS, SOURCES)
# Causes in the words of ISO-Bench's reports.
REPORTED_CAUSES = (
    (r"server crashed( after (applying )?patch)?", "server.crash"),
    (r"server startup timeout( after patch)?", "server.timeout"),
    (r"no (\w+ )?metrics( in( agent)? output)?", "bench.no_metrics"),
    (r"missing parent(_commit)?", "task.no_parent"),
    (r"time-?out( \(\d+ ?s\))?", "bench.timeout"),
    (r"", "unknown"),
)

# Tests for wrong rows, and the reasons.
FAULTS: tuple[tuple[Callable[[pd.DataFrame], pd.Series[bool]], str], ...] = (
    (lambda t: ~t["status"].isin(KNOWN), f"status {{status!r}}; known: {', '.join(KNOWN)}"),
    (
        lambda t: (t["commit"] != "") & ~t["commit"].str.fullmatch(HASH.pattern),
        "commit {commit!r} is no hash",
    ),
    (
        lambda t: ~t["count"].str.fullmatch("[0-9]+") | ((t["commit"] != "") & (t["count"] != "1")),
        "count {count!r}: an integer, and 1 (or nothing) with a commit",
    ),
    (lambda t: t["agent"] == "", "no agent"),
    (
        lambda t: ~t["type"].isin(["", *BENCH_TYPES]),
        f"type {{type!r}}; known: {', '.join(BENCH_TYPES)}",
    ),
    (
        lambda t: (t["status"].map(STATUSES) == "measured") & (t["type"] == ""),
        "a success without a type: types could not sum to successes",
    ),
    (
        lambda t: (t["status"].map(STATUSES) == "failed") & t["cause"].map(cause_of).isna(),
        "cause {cause!r} is neither one of ours nor of ISO-Bench's",
    ),
)


def read(path: Path) -> pd.DataFrame:
    """Return the rows of a table, indexed by their line, with our statuses and causes; ``text`` is
    the cause as given. Raises BadInput that names the line and the fault."""
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        raise BadInput(f"{path}: can't be read: {error}") from error
    table = table.rename(columns=str.strip)
    faults = [f"no column {name!r}" for name in COLUMNS if name not in table]
    faults += [f"column {name!r}" for name in table if name not in (*COLUMNS, *OPTIONAL)]
    if faults:
        raise BadInput(
            f"{path}: {faults[0]}; a table of counts has {', '.join(COLUMNS)}, and may have "
            f"{' and '.join(OPTIONAL)}"
        )
    table = table.reindex(columns=[*COLUMNS, *OPTIONAL], fill_value="")
    table = table.map(str.strip)
    table.index += 2
    table["status"] = table["status"].str.lower().str.replace("_", " ")
    table["commit"] = table["commit"].str.lower()
    table["type"] = table["type"].str.lower().str.replace(" ", "_")
    table["count"] = table["count"].replace("", "1")
    for is_wrong, text in FAULTS:
        for line, row in table[is_wrong(table)].iterrows():
            raise BadInput(f"{path}: line {line}: {text.format(**row)}")
    return table.assign(
        text=table["cause"],
        status=table["status"].map(lambda status: STATUSES.get(status, status)),
        cause=table["cause"].map(cause_of).where(table["status"].map(STATUSES) == "failed", ""),
        count=table["count"].astype(int),
    )


def cause_of(text: str) -> str | None:
    """Return the cause that a text names, in our words or in those of ISO-Bench's reports."""
    if text in CAUSES:
        return text
    reported = (cause for words, cause in REPORTED_CAUSES if re.fullmatch(words, text.lower()))
    return next(reported, None)
