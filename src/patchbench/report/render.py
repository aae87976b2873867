"""Rendering: tables in, markdown and figures out. Nothing is measured or decided here."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jinja2

from patchbench import __version__, tables
from patchbench.campaign import Campaign
from patchbench.files import write_bytes
from patchbench.report import context as numbers
from patchbench.report import figures, words
from patchbench.verdicts import MARKS

HERE = Path(__file__).parent
# How a faster patch stands to the human's commit; else `≥` (not worse by more than the floor) or
# `~` (can't be told apart).
AGAINST_HUMAN = {"faster": ">", "slower": "<"}


def render(campaign: Campaign, folder: Path, report: Path, figure_folder: Path) -> None:
    """Write the report and its figures. Raises BadInput if a table is missing."""
    context = numbers.build(campaign, tables.read(folder))
    figures.draw_all(context, figure_folder)
    text = markdown(context, figure_folder.name)
    write_bytes(report, text.encode())


def markdown(context: dict[str, Any], figure_folder: str) -> str:
    """The report as markdown."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE),
        undefined=jinja2.StrictUndefined,
        trim_blocks=False,
        lstrip_blocks=False,
        keep_trailing_newline=True,
    )
    environment.filters["cell"] = cell
    environment.globals.update(
        interval=words.interval,
        plural=words.plural,
        percent=words.percent,
        number=number,
        ratio=ratio,
        where=where,
    )
    text = environment.get_template("report.md.j2").render(
        **context,
        date=datetime.now(UTC).strftime("%B %-d, %Y"),
        figures=figure_folder,
        version=__version__,
        findings=words.findings(context),
        meaning=words.meaning(context),
        recommendations=words.recommendations(context),
        span=words.span(context),
    )
    return tidy(text)


def tidy(text: str) -> str:
    """No trailing blanks, never more than one blank line in a row."""
    out: list[str] = []
    for line in text.splitlines():
        line = line.rstrip()
        if line or (out and out[-1]):
            out.append(line)
    return "\n".join(out).strip() + "\n"


def cell(text: str | None, width: int = 200) -> str:
    """Text that can stand in a markdown table."""
    flat = " ".join((text or "–").split())
    if len(flat) > width:
        flat = flat[: width - 1] + "…"
    return flat.replace("|", "\\|").replace("<", "&lt;")


def number(value: float | None) -> str:
    """A value with three or four digits that count."""
    if value is None:
        return "–"
    return f"{value:,.0f}" if value >= 1000 else f"{value:.4g}"


def where(row: dict[str, Any]) -> str:
    """Where the evidence stands, as file and line."""
    if not row.get("evidence_file"):
        return ""
    line = row.get("evidence_line")
    return f" (`{row['evidence_file']}{f':{line:.0f}' if line else ''}`)"


def ratio(cell_: dict[str, Any]) -> str:
    """One cell of the speedup table: ratio, interval and mark, or why there is none."""
    found, outcome = cell_["comparison"], cell_["outcome"]
    if outcome["status"] == "pending":
        return "pending"
    if found is None:
        mark = MARKS.get(outcome["verdict"], "").strip()
        return f"`{outcome['cause'] or outcome['status']}`{' ' + mark if mark else ''}"
    best = ""
    if found["verdict"] == "faster" and cell_["against_human"]:
        relation = "≥" if outcome["at_least_human"] else "~"
        best = f" {AGAINST_HUMAN.get(cell_['against_human'], relation)} human"
    blocks = outcome["blocks_measured"] + outcome["blocks_failed"]
    if outcome["blocks_failed"]:
        best += f" ({outcome['blocks_measured']:.0f} of {blocks:.0f} blocks)"
    return (
        f"{found['ratio']:.2f}x [{found['low']:.2f}, {found['high']:.2f}] "
        f"`{MARKS[found['verdict']]}`{best}"
    )
