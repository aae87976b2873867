"""The HTML page: valid, self-contained, accessible, and deaf to what logs would have it do."""

from __future__ import annotations

import json
import re
from collections import Counter
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from patchbench.report import figures, page
from patchbench.report.layout import grids
from patchbench.report.layout.grid import Cell, Grid, columns
from patchbench.report.model import Report
from tests.unit import reports
from tests.unit.conftest import ROOT
from tests.unit.reports import COMMITS, HOSTILE, outcome, small_rows, task
from tests.unit.test_report_markdown import hostile

STYLE = Path(page.HERE / "style.css.j2").read_text(encoding="utf-8")
VOID = {"meta", "img", "link", "input", "br", "hr"}
# Elements that may stand in a table's parts, and nowhere else.
INSIDE = {"tr": ("thead", "tbody", "tfoot"), "td": ("tr",), "th": ("tr",), "li": ("ul", "ol")}


class Page(HTMLParser):
    """A page's elements; ``faults`` are what a validator would say."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.faults: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.ids: Counter[str] = Counter()
        self.tables: list[list[int]] = []
        self.script_data: list[str] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()
        self.faults += [f"never closed: {name}" for name in self._open]
        self.faults += [f"id twice: {name}" for name, times in self.ids.items() if times > 1]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        if len(found) != len(attrs):
            self.faults.append(f"attribute twice: {tag} {attrs}")
        self.elements.append((tag, found))
        if found.get("id"):
            self.ids[str(found["id"])] += 1
        parent = self._open[-1] if self._open else ""
        if tag in INSIDE and parent not in INSIDE[tag]:
            self.faults.append(f"{tag} in {parent}")
        if tag == "table":
            self.tables.append([])
        if tag == "tr":
            self.tables[-1].append(0)
        if tag in ("td", "th") and parent == "tr":
            self.tables[-1][-1] += int(found.get("colspan") or 1)
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if not self._open or self._open.pop() != tag:
            self.faults.append(f"closed out of order: {tag}")

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] == "script":
            self.script_data.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.elements if name == tag]


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Figures of the small report; tests of words don't look at them."""
    folder = tmp_path_factory.mktemp("figures")
    figures.draw_all(reports.small(), folder)
    return folder


def html(report: Report, drawn: Path) -> str:
    return page.page(report, grids(report), drawn, drawn / "no-results")


@pytest.fixture(scope="module")
def text(drawn: Path) -> str:
    return html(reports.small(), drawn)


# --- valid, self-contained, accessible ------------------------------------------------------------


def test_the_checker_finds_faults() -> None:
    assert Page("<p><b></p>").faults
    assert Page("<td></td>").faults == ["td in "]
    assert Page('<p id="a"></p><p id="a"></p>').faults == ["id twice: a"]
    assert Page("<p>").faults == ["never closed: p"]


def test_the_page_is_valid(text: str) -> None:
    found = Page(text)
    assert found.faults == []
    assert text.startswith("<!DOCTYPE html>\n<html lang=")
    assert all(len(set(rows)) == 1 for rows in found.tables)
    assert len(found.tables) >= 10


def test_the_examples_page_is_valid() -> None:
    text = (ROOT / "docs/examples/demo/report.html").read_text(encoding="utf-8")
    assert Page(text).faults == []


def test_nothing_is_loaded_from_anywhere(text: str) -> None:
    found = Page(text)
    loading = [*found.all("img"), *found.all("script")]
    sources = [attrs["src"] for attrs in loading if "src" in attrs]
    assert all(str(source).startswith("data:image/svg+xml;base64,") for source in sources)
    assert [str(a["href"])[:19] for a in found.all("link")] == ["data:image/svg+xml;"]
    assert "@import" not in STYLE
    assert "url(" not in STYLE
    policy = next(a["content"] for a in found.all("meta") if a.get("http-equiv"))
    assert policy is not None
    assert policy.startswith("default-src 'none'; img-src data:;")
    for attrs in found.all("a"):
        assert not re.match(r"[a-z]+:|//|/", str(attrs["href"])), attrs


def test_tables_name_their_heads_and_can_be_reached_by_keyboard(text: str) -> None:
    found = Page(text)
    assert {attrs.get("scope") for attrs in found.all("th")} == {"col", "row", "rowgroup"}
    regions = [a for a in found.all("div") if a.get("role") == "region"]
    # The few rows of blocks in a cell's particulars need no region of their own.
    dots = [a for a in found.all("table") if "dots" in str(a.get("class"))]
    assert len(regions) == len(found.tables) - len(dots)
    assert all(region.get("tabindex") == "0" and region.get("aria-label") for region in regions)


def test_pictures_have_words_and_heads_don_t_skip(text: str) -> None:
    found = Page(text)
    assert all(len(str(attrs.get("alt"))) > 30 for attrs in found.all("img"))
    levels = [int(tag[1]) for tag, _ in found.elements if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    ids = set(found.ids)
    assert all(str(a["href"])[1:] in ids for a in found.all("a") if str(a["href"])[0] == "#")
    assert all(a.get("aria-labelledby") in ids for a in found.all("section"))


def luminance(colour: str) -> float:
    """Relative luminance by WCAG 2.1."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    """Contrast ratio by WCAG 2.1, 1 to 21."""
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def themes() -> list[dict[str, str]]:
    """The colours of the style sheet: light, and dark."""
    pairs = re.findall(r"--([\w-]+): light-dark\((#[0-9a-f]{6}), (#[0-9a-f]{6})\)", STYLE)
    return [{name: both[place] for name, *both in pairs} for place in (0, 1)]


def test_every_theme_has_enough_contrast() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)
    for theme in themes():
        pairs = [("ink", "ground"), ("ink", "raised"), ("soft", "ground"), ("soft", "raised")]
        pairs += [("link", "ground"), ("link", "raised"), ("mark-ink", "mark")]
        pairs += [("accent", "ground"), ("loss", "raised"), ("loss", "ground"), ("gain", "ground")]
        pairs += [(name, name.removesuffix("-ink")) for name in theme if name.endswith("-ink")]
        low = {pair: contrast(theme[pair[0]], theme[pair[1]]) for pair in pairs}
        assert {pair: ratio for pair, ratio in low.items() if ratio < 4.5} == {}
        # Good and bad squares can be told apart without their hues too.
        assert contrast(theme["faster"], theme["failed"]) > 1.5


def test_every_cell_of_the_matrix_opens_its_particulars_without_a_script(text: str) -> None:
    found = Page(text)
    opened = {str(a["href"])[1:] for a in found.all("a") if str(a["href"]).startswith("#cell-")}
    drawers = [a for a in found.all("article") if a.get("class") == "drawer"]
    assert {a["id"] for a in drawers} == opened
    assert len(drawers) == 6
    assert ".drawer:target { display: block;" in STYLE


def test_small_tables_and_facts_have_no_search(text: str) -> None:
    grids_ = [a for a in Page(text).all("div") if a.get("class") == "grid"]
    assert not [a for a in grids_ if "data-search" in a]
    assert len([a for a in grids_ if "data-facts" in a]) == 2


def test_rows_have_names_that_links_can_keep(text: str) -> None:
    found = Page(text)
    rows = {a["id"] for a in found.all("tr") if "id" in a}
    assert f"patches-{COMMITS[1]}-Alba" in rows
    assert "agents-Alba" in rows
    assert {str(a["href"])[1:] for a in found.all("a") if a.get("class") == "perma"} <= rows


def test_the_page_describes_itself(text: str) -> None:
    metas = {a.get("name") or a.get("property"): a.get("content") for a in Page(text).all("meta")}
    assert metas["description"] == reports.small().words.headline
    assert "<h1>These data do not say which agent is better;" in text


# --- words of others ------------------------------------------------------------------------------


@pytest.mark.parametrize("word", HOSTILE, ids=range(len(HOSTILE)))
def test_words_of_others_stay_words(word: str, drawn: Path) -> None:
    found, plain = Page(html(hostile(word), drawn)), Page(html(hostile("harmless"), drawn))
    assert found.faults == []
    assert Counter(tag for tag, _ in found.elements) - Counter({"code": 10**6}) == Counter(
        tag for tag, _ in plain.elements
    ) - Counter({"code": 10**6})
    for tag, attrs in found.elements:
        assert not [name for name in attrs if name.startswith("on")], (tag, attrs)
        assert not str(attrs.get("href", "")).lower().strip().startswith("javascript:")


@given(st.text(max_size=80))
def test_a_cell_holds_its_words_and_no_more(word: str) -> None:
    linked = Cell("a", tail=word, href="b"), Cell(links=((word, "c"),))
    for cell in (Cell(word), Cell(code=word), *linked):
        found = Page(str(page.cell(cell)))
        assert found.faults == []
        assert {tag for tag, _ in found.elements} <= {"code", "a", "strong"}


@given(st.text(max_size=80))
def test_data_for_the_script_can_not_end_its_element(word: str) -> None:
    grid = Grid("n", "N", columns("A", "B"), [(Cell(word), Cell(code=word, href=word, sort=1.5))])
    data = str(page.data(grid))
    assert not set("<>&\u2028\u2029") & set(data)
    (row,) = json.loads(data)
    text = page.clean(word)
    first = row[0] if isinstance(row[0], str) else row[0][0]
    assert first == text


# --- large tables ---------------------------------------------------------------------------------


def many(count: int) -> Report:
    rows = small_rows()
    for place in range(count):
        commit = f"{place:040x}"
        rows["tasks"].append(task(commit))
        for arm in ("baseline", "human", "alba", "brio"):
            rows["outcomes"].append(outcome(commit, arm))
    return reports.built(rows)


def test_a_large_table_is_paged_and_its_rows_come_as_data(drawn: Path) -> None:
    report = many(60)
    text = html(report, drawn)
    found = Page(text)
    assert found.faults == []
    part = text[text.index('id="patches"') :]
    body = part[part.index("<tbody>") : part.index("</tbody>")]
    assert body.count("<tr ") == page.PAGE_ROWS
    data = re.search(r'<script type="application/json" class="rows">(.*?)</script>', part)
    assert data is not None
    rows = json.loads(data[1])
    assert len(rows) == 4 * 62
    assert len({len(row) for row in rows}) == 1
    assert part.index("<noscript>") < part.index("</details>")


def test_links_lead_to_each_runs_logs_and_patch() -> None:
    rows = small_rows()
    a = COMMITS[0]
    rows["runs"] = [
        {"commit": a, "arm": "alba", "block": block, "launched": True, "status": "measured"}
        for block in (1, 2)
    ]
    report = reports.built(rows)
    grid = grids(report)["patches"]
    heads = [column.title for column in grid.columns]
    alba = next(row for row in grid.rows if row[0].sort == a and row[1].text == "Alba")
    found = dict(zip(heads, alba, strict=True))
    assert found["Raw logs of block"].links == (
        ("1", f"runs/{a}/block-1/alba/"),
        ("2", f"runs/{a}/block-2/alba/"),
    )
    assert found["Patch"].links[0] == ("as measured", f"patches/{a}/alba/applied.diff")
    packed = json.loads(str(page.data(grid)))[grid.rows.index(alba)]
    assert packed[heads.index("Patch")][5][0] == ["as measured", "patches/~/alba/applied.diff"]
    crash = next(row for row in grid.rows if row[0].sort == COMMITS[1] and row[1].text == "Alba")
    evidence = dict(zip(heads, crash, strict=True))["Evidence"]
    assert (evidence.tail, evidence.href) == ("log", f"runs/{COMMITS[1]}/x/server.stderr")


def test_a_path_outside_the_results_is_no_link() -> None:
    rows = small_rows()
    rows["outcomes"][5] |= {"evidence_file": "tinyserve/model.py", "evidence_line": 3}
    report = reports.built(rows)
    assert report.all_failures[0].link == ""
    assert report.all_failures[0].file == "tinyserve/model.py"
    rows["outcomes"][5] |= {"evidence_file": "results/../../etc/passwd"}
    assert reports.built(rows).all_failures[0].link == ""


def test_a_partial_page_says_so(drawn: Path) -> None:
    rows = small_rows()
    rows["outcomes"][5] = outcome(COMMITS[1], "alba", "pending")
    text = html(reports.built(rows), drawn)
    assert "<strong>PARTIAL:</strong> 1 outcome of 8 still pending (Alba 1)." in text
    assert "PARTIAL" not in html(reports.small(), drawn)


def test_long_commits_in_paths_are_cut_for_the_eye() -> None:
    assert page.shortened(f"(results/runs/{'a' * 40}/x)") == "(results/runs/aaaaaaaa…/x)"
    assert page.shortened("(tinyserve/model.py:3)") == "(tinyserve/model.py:3)"
