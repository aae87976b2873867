"""Reports for tests: of the synthetic campaign, of tables made by hand, and with hostile words."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pyarrow as pa

from patchbench.report import read_tables
from patchbench.report.about import About
from patchbench.report.build import build
from patchbench.report.layout import grids
from patchbench.report.markdown import markdown
from patchbench.report.model import Report
from patchbench.report.tables.columns import SCHEMAS

Rows = dict[str, list[dict[str, Any]]]

COMMITS = tuple(letter * 40 for letter in "abcdef")
# What logs and task lists may hold that a page must not obey.
HOSTILE = (
    "<script>alert(1)</script>",
    "</table></details><h1>x</h1>",
    "| new | cells |",
    "`code` ends **here** *and* _there_",
    "[click](javascript:alert(1)) ![x](https://example.org/x.png)",
    "a\r\nb\tc\x00d\x1b[31m red \u202e evil \u2028 line",
    "ends with a backslash \\",
    '" onmouseover="alert(1)',
    "=HYPERLINK(1)",
)


def tables(rows: Rows) -> dict[str, pa.Table]:
    """Tables from rows that name only the columns that matter."""
    return {
        name: pa.Table.from_pylist(rows.get(name, []), schema=schema)
        for name, schema in SCHEMAS.items()
    }


def about(**more: Any) -> About:
    """Two agents."""
    return About(
        **{
            "name": "small",
            "agents": {"alba": "Alba", "brio": "Brio"},
            "subjects": ("Small engine",),
            "results": "results",
            "date": "2026-01-02",
            **more,
        }
    )


def built(rows: Rows, **more: Any) -> Report:
    """The report of some rows."""
    return build(about(**more), read_tables.of(tables(rows)))


def task(commit: str, **more: Any) -> dict[str, Any]:
    """A planned task."""
    return {
        "commit": commit,
        "title": "Make it fast",
        "type": "serving",
        "primary_metric": "ttft_median_ms",
        "workload_id": "w",
        "status": "planned",
        **more,
    }


def outcome(commit: str, arm: str, status: str = "measured", **more: Any) -> dict[str, Any]:
    """How one arm ended; a failure by its cause."""
    row = {"commit": commit, "arm": arm, "type": "serving", "status": status}
    row |= {"verdict": "not measured", "blocks_measured": 5, "blocks_failed": 0}
    if status not in ("measured", "pending"):
        row |= {"status": "failed", "cause": status, "blame": "agent", "stage": "server_start"}
        row |= {"blocks_measured": 0, "blocks_failed": 5}
    return row | more


def comparison(commit: str, arm: str, ratio: float, **more: Any) -> dict[str, Any]:
    """An arm against the baseline, with an interval of 5 % to both sides."""
    return {
        "commit": commit,
        "arm": arm,
        "reference": "baseline",
        "metric": "ttft_median_ms",
        "unit": "ms",
        "role": "primary",
        "pairs": 5,
        "value": 100 / ratio,
        "reference_value": 100.0,
        "ratio": ratio,
        "low": ratio / 1.05,
        "high": ratio * 1.05,
        "p": 0.001,
        "p_adjusted": 0.002,
        "margin": 0.02,
        "visible": 0.05,
        "verdict": "faster",
        "level": 0.95,
        **more,
    }


def small(**more: Any) -> Report:
    """Two tasks: alba made one faster and crashed on the other; brio has no patch for one."""
    return built(small_rows(), **more)


def small_rows() -> Rows:
    """The rows of ``small``."""
    a, b = COMMITS[:2]
    gone = {"cause": "patch.missing", "blame": "agent", "stage": "fetch_patch"}
    crash = {"evidence": "IndexError: 3", "evidence_file": f"results/runs/{b}/x/server.stderr"}
    return {
        "tasks": [task(a, reference="reproduced"), task(b)],
        "patches": [
            {"commit": c, "arm": arm, "status": "ok", "source": "folder", "stage": "build_image"}
            for c in (a, b)
            for arm in ("human", "alba", "brio")
            if (c, arm) != (b, "brio")
        ]
        + [{"commit": b, "arm": "brio", "status": "failed", **gone}],
        "outcomes": [
            outcome(a, "baseline"),
            outcome(b, "baseline"),
            outcome(a, "human", verdict="faster"),
            outcome(b, "human"),
            outcome(a, "alba", verdict="faster", at_least_human=True),
            outcome(b, "alba", "server.crash", evidence_line=7, **crash),
            outcome(a, "brio", verdict="same"),
            outcome(b, "brio", "patch.missing"),
        ],
        "comparisons": [
            comparison(a, "human", 1.3),
            comparison(a, "alba", 1.4),
            comparison(a, "alba", 1.08, role="human", verdict="faster"),
            comparison(a, "brio", 1.0, verdict="same"),
        ],
    }


def page(report: Report) -> str:
    """The report as markdown."""
    return markdown(report, grids(report), "figures")


def line(report: str, start: str) -> str:
    """The one line of a markdown report that begins like this."""
    found = [text for text in report.splitlines() if text.startswith(start)]
    assert len(found) == 1, found
    return found[0]


def cells(text: str) -> list[str]:
    """The cells of a markdown row."""
    return [part.strip() for part in re.split(r"(?<!\\)\|", text)[1:-1]]


def row(report: str, start: str, head: str = "") -> dict[str, str]:
    """The cells of the one row that begins with ``start``, by the heads of their columns; ``head``
    is how the table's first line begins, where several tables have such a row."""
    lines = report.splitlines()
    found = []
    for at, text in enumerate(lines):
        if not text.startswith(start):
            continue
        top = max(i for i in range(at) if not lines[i].startswith("|")) + 1
        if lines[top].startswith(head or "|"):
            found.append(dict(zip(cells(lines[top]), cells(text), strict=True)))
    assert len(found) == 1, found
    return found[0]


def write(rows: Rows, folder: Path) -> Path:
    """A folder of tables."""
    from patchbench.report.tables.collect import write as write_table

    for name, table in tables(rows).items():
        write_table(table, folder / f"{name}.parquet")
    return folder
