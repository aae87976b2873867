"""The report as one HTML file that needs nothing else: no request leaves it, figures, style and
script are inside, and its tables can be read without the script.

Everything is escaped by the template, or built as text by the script; a policy in the page forbids
it to load anything.
"""

from __future__ import annotations

import base64
import re
from collections import Counter
from pathlib import Path

import jinja2
import markupsafe
import msgspec

from patchbench.failures.causes import CAUSES
from patchbench.report.figures import shown
from patchbench.report.layout.grid import Cell, Grid, anchor
from patchbench.report.markdown import CONTROL, day
from patchbench.report.model import Report
from patchbench.report.page.drawers import drawers
from patchbench.report.page.intervals import forest
from patchbench.report.page.matrix import ROWS, matrix
from patchbench.report.text import phrases
from patchbench.report.text.first_screen import tiles
from patchbench.report.text.phrases import amount, listed, percent, plural
from patchbench.report.text.prose import prose

HERE = Path(__file__).parent
# Rows of one page of a table. A table with more rows comes as data and is shown page by page.
PAGE_ROWS = 50
# Cells with at most so many characters don't break.
TIGHT = 34
# A table with this many rows has a search box.
SEARCHED = 12

HASH = re.compile(r"\b([0-9a-f]{8})[0-9a-f]{32}\b")
CODE_SPAN = re.compile(r"`([^`]*)`")
ICON = (
    "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'><rect width='16' height='16' "
    "rx='3' fill='#0072b2'/><path d='M3 8h10M8 3v10' stroke='#fff' stroke-width='2'/></svg>"
)
UNSAFE = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}


def page(report: Report, tables: dict[str, Grid], figures: Path, results: Path) -> str:
    """Return the whole page. ``tables`` are its tables by name, ``figures`` is the folder of the
    drawn figures, ``results`` that of the logs and patches (they may be missing)."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        inline=inline,
        cell=cell,
        data=data,
        clean=clean,
        shape=shape,
        shortened=shortened,
        slug=anchor,
        row_places=row_places,
    )
    squares = matrix(report)
    few = len(report.speedups) <= ROWS
    return environment.get_template("page.html.j2").render(
        r=report,
        g=tables,
        first=tiles(report),
        squares=squares,
        plot=forest(report) if few and "speedups" in shown(report) else None,
        cells=drawers(report, results) if squares else (),
        causes=causes(report),
        icon=f"data:image/svg+xml;base64,{base64.b64encode(ICON.encode()).decode()}",
        of_agent=lambda arm: tables[f"failures-{arm}"],
        figure=lambda name: picture(figures, name),
        alt=alt(report),
        shown=shown(report),
        day=day(report.date),
        plural=phrases.plural,
        page_rows=PAGE_ROWS,
        tight=TIGHT,
        searched=SEARCHED,
        **prose(report),
    )


def clean(text: str) -> str:
    """Return text without control characters, which HTML does not allow."""
    return CONTROL.sub(" ", text)


def inline(text: str) -> markupsafe.Markup:
    """Return a sentence of the report as HTML: words in backticks become code."""
    escaped = str(markupsafe.escape(clean(text)))
    return markupsafe.Markup(CODE_SPAN.sub(r"<code>\1</code>", escaped))


def cell(item: Cell) -> markupsafe.Markup:
    """Return a cell's content as HTML. The page's script builds the same from the same data."""
    parts = []
    text, tail = clean(item.text), shortened(clean(item.tail))
    if text:
        shape = "<strong>{}</strong>" if item.strong else "{}"
        parts.append(_linked(markupsafe.Markup(shape).format(text), "" if tail else item.href))
    if item.code:
        tip = CAUSES[item.code].title if item.code in CAUSES else ""
        head = markupsafe.Markup('<code title="{}">').format(tip) if tip else "<code>"
        parts.append(markupsafe.Markup(head) + clean(item.code) + markupsafe.Markup("</code>"))
    if tail:
        parts.append(_linked(markupsafe.escape(tail), item.href))
    parts += [_linked(markupsafe.escape(word), href) for word, href in item.links]
    return markupsafe.Markup(" ").join(parts)


def shortened(place: str) -> str:
    """Return a path with its commit cut to eight characters; the link has the whole path."""
    return HASH.sub(r"\1…", place)


def shape(item: Cell, align: str) -> str:
    """Return the CSS classes of a cell."""
    heat = f" heat-{item.heat}" if item.heat else ""
    return f"{align}{' tight' if len(item.plain) <= TIGHT else ''}{heat}"


def row_places(grid: Grid, most: int) -> list[str]:
    """Return a name on the page for each of a table's first rows, from its key columns."""
    seen: Counter[str] = Counter()
    names = []
    for row in grid.rows[:most]:
        name = anchor(grid.name, *(str(item.sort or item.plain) for item in row[: grid.keys]))
        seen[name] += 1
        names.append(name if seen[name] == 1 else f"{name}-{seen[name]}")
    return names


def causes(report: Report) -> markupsafe.Markup:
    """Return the titles of the causes that stand in the report, for the script."""
    used = {cell.cause for row in report.speedups for cell in row.cells} & set(CAUSES)
    return _json({name: CAUSES[name].title for name in sorted(used)})


def _json(value: object) -> markupsafe.Markup:
    """Return JSON that can't end its element."""
    text = msgspec.json.encode(value).decode()
    return markupsafe.Markup(re.sub("[<>&\u2028\u2029]", lambda m: UNSAFE[m[0]], text))


def _linked(words: markupsafe.Markup, href: str) -> markupsafe.Markup:
    return markupsafe.Markup('<a href="{}">{}</a>').format(href, words) if href else words


def data(grid: Grid) -> markupsafe.Markup:
    """Return a large table's rows for the script: per cell [text, code, tail, href, sort, links]
    without what is empty at its end, [text, sort] if that is all and the latter a number, or only
    its text. In addresses ``~`` stands for the sort key of the row's first cell: its whole
    commit."""
    rows = [[_packed(item, str(row[0].sort or "~")) for item in row] for row in grid.rows]
    return _json(rows)


def _packed(item: Cell, commit: str) -> object:
    words = [clean(item.text), clean(item.code), shortened(clean(item.tail))]
    links = [(word, href.replace(commit, "~")) for word, href in item.links]
    packed: list[object] = [*words, item.href.replace(commit, "~"), item.sort, links or None]
    while packed and packed[-1] in ("", None):
        packed.pop()
    if not packed:
        return ""
    if isinstance(item.sort, int | float) and not any(packed[1:4]) and not links:
        return [packed[0], round(item.sort, 6)]
    return packed[0] if len(packed) == 1 else packed


def picture(folder: Path, name: str) -> str:
    """Return a figure as a data URL."""
    svg = (folder / f"{name}.svg").read_bytes()
    return f"data:image/svg+xml;base64,{base64.b64encode(svg).decode()}"


def alt(report: Report) -> dict[str, str]:
    """Return a description of each figure by its name. The tables hold every number."""
    machine = report.machine
    faster = [f"{row.title} {row.verdicts['faster']} of {row.measured}" for row in report.agents]
    ended = [
        f"{row.title}: {row.measured} measured, {row.failed} failed, {row.missing} without a "
        f"patch, {row.pending} pending"
        for row in report.agents
    ]
    busy = [f"{lane} {percent(share)}" for lane, share in machine.busy.items()]
    changes = [abs(pair.ratio - 1) for pair in report.aa]
    return {
        "speedups": f"Ratios to the baseline with intervals. Faster: {listed(faster)} measured.",
        "outcomes": f"Matrix of commits and agents. {listed(ended)}.",
        "timeline": f"Launches and builds over time. Busy: {listed(busy, 16) or 'nothing'}.",
        "disk": f"Free disk and images over time. At least {amount(machine.disk_free_least or 0)} "
        f"stayed free; at most {plural(machine.images_most, 'image')} at once.",
        "noise": f"{plural(len(changes), 'A/A pair')} differ by up to "
        f"{percent(max(changes, default=None))}.",
    }
