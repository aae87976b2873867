"""The report as GitHub's markdown.

Words from logs, patches and task lists stand in code spans or escaped, so that none of them can end
a table, make a link or load a picture.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import date
from pathlib import Path
from urllib.parse import unquote

import jinja2

from patchbench.report.figures import shown
from patchbench.report.layout.grid import Cell, Grid
from patchbench.report.model import Report
from patchbench.report.text import phrases
from patchbench.report.text.prose import prose
from patchbench.system.contained_file import is_contained

TEMPLATE = "report.md.j2"
# Longer tables fold. Of still longer ones only the first rows stand here; the page has all rows.
LONG, MOST = 12, 200
# GitHub does not render a file with many more characters of tables than this.
CELLS = 4000

CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u200b-\u200f\u202a-\u202e\u2066-\u2069]+")
LOOSE_UNDERSCORE = re.compile(r"(?<![^\W_])_|_(?![^\W_])")
# Words between two single backticks.
CODE_SPAN = re.compile(r"((?<!`)`[^`]+`(?!`))")


def markdown(
    report: Report,
    tables: dict[str, Grid],
    figures: str,
    page: str = "report.html",
    results: Path | None = None,
) -> str:
    """Return the whole report. ``tables`` are its tables by name, ``figures`` is the folder of the
    figures and ``page`` the HTML, relative to the report. Evidence in the folder ``results``
    becomes a link; a report that lies elsewhere names only the place."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
    )
    environment.filters.update(plain=plain, sentence=sentence, code=code, heading=heading)
    text = environment.get_template(TEMPLATE).render(
        r=report,
        g=tables,
        table=lambda grid, fold=None: table(grid, page, fold=fold, results=results),
        of_agent=lambda arm: tables[f"failures-{arm}"],
        examples=sum(len(row.causes) for row in report.failures),
        figures=figures,
        page=page,
        shown=shown(report),
        day=day(report.date),
        plural=phrases.plural,
        **prose(report),
    )
    return tidy(text)


def day(iso: str) -> str:
    """Return a date like 'November 22, 2026'."""
    when = date.fromisoformat(iso)
    return f"{when:%B} {when.day}, {when.year}"


def table(grid: Grid, page: str, *, fold: bool | None = None, results: Path | None = None) -> str:
    """Return a table. A long one folds and shows only its first rows."""
    if not grid.rows:
        return ""
    most = max(10, min(MOST, CELLS // len(grid.columns)))
    lines = [
        row(plain(column.title) for column in grid.columns),
        row("---:" if column.align == "right" else "---" for column in grid.columns),
        *(
            row(cell(item, results) for item in cells)
            for cells in [*grid.rows[:most], *filter(None, [grid.foot])]
        ),
    ]
    left = len(grid.rows) - most
    if left > 0:
        lines += ["", f"{left:,} more rows: see [{page}]({page}#{grid.name})."]
    body = "\n".join(lines)
    if not (len(grid.rows) > LONG if fold is None else fold):
        return body
    count = phrases.plural(len(grid.rows), "row")
    return f"<details>\n<summary>{plain(grid.title)} ({count})</summary>\n\n{body}\n\n</details>"


def row(cells: Iterable[str]) -> str:
    """Return one line of a table."""
    return f"| {' | '.join(cells)} |"


def cell(item: Cell, results: Path | None = None) -> str:
    """Return one cell, which can't break out of its table. The place of evidence is a link if the
    file lies in the folder ``results``."""
    text = plain(item.text)
    if item.strong and text:
        text = f"**{text}**"
    tail = _link(item, results) or plain(item.tail)
    return " ".join(filter(None, [text, code(item.code), tail])) or "–"


def _link(item: Cell, results: Path | None) -> str:
    """Return the cell's place of evidence as a link to its file and line; empty without it."""
    if not (results and item.tail and item.href):
        return ""
    if not is_contained(results / unquote(item.href), results):
        return ""
    name = item.tail.strip("()").rpartition("/")[2]
    return f"[{plain(name)}]({item.href}{f'#L{item.line}' if item.line else ''})"


def plain(text: str) -> str:
    """Return words without any meaning in markdown."""
    flat = " ".join(CONTROL.sub(" ", text).split())
    flat = flat.replace("\\", "\\\\").replace("&", "&amp;").replace("<", "&lt;")
    flat = flat.replace("`", "'").replace("|", "\\|").replace("*", "\\*").replace("](", "] (")
    return LOOSE_UNDERSCORE.sub(r"\\_", flat)


def code(text: str) -> str:
    """Return words as a code span; empty without words. A backtick would end the span, so it
    becomes a quote."""
    flat = " ".join(CONTROL.sub(" ", text).split()).replace("`", "'")
    flat = re.sub(r"\\+(?=\|)", r"\g<0> ", flat).rstrip("\\")
    flat = flat.replace("|", "\\|").strip()
    return f"`{flat}`" if flat else ""


def heading(text: str) -> str:
    """Return the name under which GitHub links a heading."""
    return re.sub(r"[^\w\- ]", "", CONTROL.sub(" ", text).strip().lower()).replace(" ", "-")


def sentence(text: str) -> str:
    """Return a sentence of the report: its code spans stay, and its names can't become markup."""
    parts = CODE_SPAN.split(" ".join(CONTROL.sub(" ", text).split()))
    return "".join(part if place % 2 else _loose(part) for place, part in enumerate(parts))


def _loose(text: str) -> str:
    text = text.replace("`", "'").replace("<", "&lt;")
    return text.replace("](", "] (").replace("*", "\\*")


def tidy(text: str) -> str:
    """Remove trailing blanks, and blank lines that follow another."""
    out: list[str] = []
    for line in text.splitlines():
        line = line.rstrip()
        if line or (out and out[-1]):
            out.append(line)
    return "\n".join(out).strip() + "\n"
