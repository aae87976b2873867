"""Render a report from tables: markdown, page, figures and JSON. Nothing is measured or decided
here, and nothing is written before the numbers close."""

from __future__ import annotations

from pathlib import Path

import msgspec

from patchbench.errors import BadInput
from patchbench.plan.campaign import Campaign
from patchbench.report import about as abouts
from patchbench.report import figures, page, read_tables, recorded
from patchbench.report.about import About
from patchbench.report.build import build
from patchbench.report.compare_campaigns import compare_campaigns
from patchbench.report.layout import grids
from patchbench.report.markdown import markdown
from patchbench.report.model import Report
from patchbench.report.tables.collect import Inconsistent
from patchbench.report.text import with_words
from patchbench.system.files import write_bytes

FIGURES = "figures"
# A smaller report.json than this (bytes) is indented.
READABLE = 4 << 20


def render(campaign: Campaign, folder: Path, report: Path, figure_folder: Path) -> Report:
    """Write a campaign's report from its folder of tables. Raises BadInput if a table is missing
    or the tables contradict themselves."""
    return write(abouts.of(campaign), folder, report, figure_folder)


def write(
    about: About,
    folder: Path,
    report: Path,
    figure_folder: Path,
    other: Path | None = None,
) -> Report:
    """Write the report of a folder of tables. ``other`` is the results folder of an earlier
    campaign to compare with."""
    content = numbers(about, folder)
    if other is not None:
        there = numbers(abouts.read(other), other / "tables")
        content = with_words(
            msgspec.structs.replace(content, compared_with=compare_campaigns(content, there))
        )
    figures.draw_all(content, figure_folder)
    shown = grids(content)
    page_name = f"{report.stem}.html"
    text = markdown(content, shown, figure_folder.name, page_name, report.parent)
    html = page.page(content, shown, figure_folder, report.parent)
    write_json(content, report.with_suffix(".json"))
    abouts.write(about, report.parent)
    write_bytes(report.with_suffix(".html"), html.encode())
    write_bytes(report, text.encode())
    return content


def numbers(about: About, folder: Path) -> Report:
    """Return the report's numbers and words, from a folder of tables. Raises BadInput if a table is
    missing."""
    read = read_tables.read(folder)
    try:
        return build(about, read, recorded.read(folder.parent))
    except Inconsistent as error:
        raise BadInput(
            f"{folder}: the tables contradict themselves, so nothing was written: {error} | next: "
            "make them anew (snakemake report); if it stays, this is a bug to report"
        ) from error


def write_json(report: Report, path: Path) -> None:
    """Write the whole report as JSON, numbers unrounded."""
    data = msgspec.json.encode(report)
    if len(data) < READABLE:
        data = msgspec.json.format(data, indent=1)
    write_bytes(path, data + b"\n")
