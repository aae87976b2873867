"""The markdown: it lints, folds long tables, and no word of a log can break out of its cell."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from patchbench.report.layout import grids
from patchbench.report.layout.grid import Cell, Grid, columns
from patchbench.report.markdown import CELLS, cell, code, day, heading, plain, sentence, table, tidy
from patchbench.report.model import Report
from tests.unit import reports
from tests.unit.conftest import ROOT
from tests.unit.reports import COMMITS, HOSTILE, page, small_rows, task

PARSER = MarkdownIt("commonmark").enable("table")


def hostile(word: str) -> Report:
    """A report into which every field that others write holds this word."""
    rows = small_rows()
    rows["tasks"] = [task(commit, title=word) for commit in COMMITS[:2]]
    rows["tasks"].append(
        task(COMMITS[2], title=word, status="excluded", exclusion=word, exclusion_evidence=word)
    )
    rows["tasks"][0] |= {"warnings": word}
    for row in rows["outcomes"]:
        if row.get("evidence"):
            row |= {"evidence": word, "evidence_file": f"results/runs/{word}"}
    rows["patches"][1] |= {"flags": word, "stripped": word, "source": word}
    agents = {"alba": word, "brio": "Brio"}
    return reports.built(rows, agents=agents, subjects=(word,), name=word)


def lint(text: str) -> list[str]:
    """What is wrong with a markdown file: heads that skip a level, tables with uneven rows, blanks
    at line ends, several blank lines, tabs, missing alternative texts, repeated heads."""
    out = []
    lines = text.splitlines()
    level, seen = 0, set()
    in_table: list[str] = []
    for number, line in enumerate([*lines, ""], 1):
        if found := re.match(r"(#+) (.*)", line):
            now = len(found[1])
            if now > level + 1:
                out.append(f"{number}: head of level {now} after {level}")
            if line in seen:
                out.append(f"{number}: head stands twice: {line}")
            if lines[number - 2 : number - 1] not in ([], [""]):
                out.append(f"{number}: no blank line before a head")
            level = now
            seen.add(line)
        if line != line.rstrip():
            out.append(f"{number}: blanks at its end")
        if "\t" in line:
            out.append(f"{number}: a tab")
        if "![](" in line:
            out.append(f"{number}: a picture without words")
        if line.startswith("|"):
            in_table.append(line)
            continue
        if in_table:
            widths = {len(re.split(r"(?<!\\)\|", row)) for row in in_table}
            if len(widths) > 1 or not re.fullmatch(r"(\| -{3}:? )+\|", "".join(in_table[1:2])):
                out.append(f"{number}: uneven table: {in_table[0]}")
            before = lines[number - 2 - len(in_table)]
            if before:
                out.append(f"{number}: no blank line before a table: {before}")
        in_table = []
    if "\n\n\n" in text or not text.endswith("\n") or text.endswith("\n\n"):
        out.append("blank lines")
    if lines and not lines[0].startswith("# "):
        out.append("no title at the top")
    return out


def kinds(text: str) -> list[str]:
    """Elements that a reader of the page gets: everything but text."""
    found = []
    for token in PARSER.parse(text):
        for part in (token, *(token.children or [])):
            if part.type in ("html_inline", "html_block", "image", "link_open"):
                found.append(f"{part.type} {part.content or part.attrs}")
    return found


def test_the_linter_finds_faults() -> None:
    assert lint("# a\n\n### b\n") == ["3: head of level 3 after 1"]
    assert len(lint("# a\n\n| a | b |\n| --- | --- |\n| 1 |\n")) == 1
    assert len(lint("text \n\n\n\n\ttext")) == 4


def test_the_report_lints() -> None:
    assert lint(page(reports.small())) == []
    assert lint((ROOT / "docs/examples/demo/report.md").read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("word", HOSTILE, ids=range(len(HOSTILE)))
def test_words_of_others_can_not_become_markup(word: str) -> None:
    text = page(hostile(word))
    assert lint(text) == []
    assert kinds(text) == kinds(page(hostile("harmless")))


@given(st.text(max_size=200))
def test_a_cell_is_always_one_line_of_plain_words(word: str) -> None:
    for found in (Cell(word), Cell(code=word), Cell("a", code=word, tail=word), Cell(word, "b")):
        line = cell(found)
        assert len(line.splitlines()) == 1
        assert not re.search(r"(?<!\\)\|", line)
        assert kinds(f"| a |\n| --- |\n| {line} |\n") == []
        rendered = PARSER.render(f"| a |\n| --- |\n| {line} |\n")
        assert rendered.count("<td>") == 1


def test_what_words_mean_stays() -> None:
    assert plain("a | b <i> `c` *d* f_g \\") == "a \\| b &lt;i> 'c' \\*d\\* f_g \\\\"
    assert plain("_a_ [b](c)") == "\\_a\\_ [b] (c)"
    assert code("IndexError: a | b at <core>") == "`IndexError: a \\| b at <core>`"
    assert code("a `b` \\") == "`a 'b'`"
    assert code("") == ""
    assert cell(Cell()) == "–"
    assert sentence("`a*b` is *strong*") == "`a*b` is \\*strong\\*"


def test_long_tables_fold_and_the_longest_are_cut_with_a_link() -> None:
    heads = columns("Number", "Square")
    rows = [(Cell(str(n)), Cell(str(n * n))) for n in range(3000)]
    short = table(Grid("n", "Numbers", heads, rows[:5]), "report.html")
    assert short.splitlines()[0] == "| Number | Square |"
    folded = table(Grid("n", "Numbers", heads, rows[:50]), "report.html")
    assert folded.startswith("<details>\n<summary>Numbers (50 rows)</summary>\n\n| Number")
    assert folded.endswith("\n\n</details>")
    cut = table(Grid("n", "Numbers", heads, rows), "report.html")
    assert cut.count("\n| ") == 2 + 200
    assert "2,800 more rows: see [report.html](report.html#n)." in cut
    wide = table(
        Grid("n", "N", columns(*map(str, range(400))), [tuple([Cell("1")] * 400)] * 99), ""
    )
    assert wide.count("\n| ") == 1 + max(10, CELLS // 400) + 1


def test_a_table_without_rows_is_nothing_and_sums_stand_at_its_end() -> None:
    heads = columns("Type", "Count", right=("Count",))
    assert table(Grid("n", "N", heads, []), "") == ""
    found = table(Grid("n", "N", heads, [(Cell("a"), Cell("1"))], (Cell("All"), Cell("1"))), "")
    assert found.splitlines() == ["| Type | Count |", "| --- | ---: |", "| a | 1 |", "| All | 1 |"]


def test_evidence_is_a_link_if_its_file_lies_beside_the_report(tmp_path: Path) -> None:
    found = Cell(code="died", tail="(runs/c/server.stderr:7)", href="runs/c/server.stderr", line=7)
    assert cell(found, tmp_path) == "`died` (runs/c/server.stderr:7)"
    (tmp_path / "runs/c").mkdir(parents=True)
    (tmp_path / "runs/c/server.stderr").write_text("x", encoding="utf-8")
    assert cell(found, tmp_path) == "`died` [server.stderr:7](runs/c/server.stderr#L7)"


def test_every_heading_in_the_contents_is_there() -> None:
    text = page(reports.small())
    heads = {heading(line.lstrip("# ")) for line in text.splitlines() if line.startswith("#")}
    links = re.findall(r"\(#([^)]*)\)", text)
    assert len(links) == 8
    assert set(links) <= heads


def test_days_are_written_as_people_do() -> None:
    assert day("2026-01-05") == "January 5, 2026"


def test_lines_lose_trailing_blanks_and_blank_lines_stand_alone() -> None:
    assert tidy("\n\n# a  \n\n\n\nb\t\n \n\nc") == "# a\n\nb\n\nc\n"


@given(st.text(st.sampled_from("a |\n\t#")))
def test_tidying_again_changes_nothing_and_loses_no_word(text: str) -> None:
    once = tidy(text)
    assert tidy(once) == once
    assert once.split() == text.split()
    assert "\n\n\n" not in once


def test_agents_whose_names_differ_in_punctuation_only_have_tables_of_their_own() -> None:
    report = reports.built(small_rows())
    names = ("gpt-5", "gpt_5", "gpt.5")
    rows = tuple(
        msgspec.structs.replace(report.failures[0], arm=name, title=f"Agent {name}")
        for name in names
    )
    found = grids(msgspec.structs.replace(report, failures=rows))
    titles = [found[f"failures-{name}"].title for name in names]
    assert titles == [f"Failures of Agent {name}" for name in names]
