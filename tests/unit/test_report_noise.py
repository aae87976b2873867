"""The report's first lines say if the machine was too busy or too noisy."""

from __future__ import annotations

from pathlib import Path

import pytest

from patchbench.report import render
from patchbench.report.layout import grids
from patchbench.report.markdown import table
from patchbench.report.model import Report
from patchbench.report.text import first_screen
from tests.unit import reports
from tests.unit.reports import COMMITS, Rows, page, small_rows

A, B = COMMITS[:2]
METRIC = "ttft_median_ms"


def noisy(visible: float, aa: float = 1.0) -> Rows:
    """The small campaign in which only such changes could be seen, with one A/A pair that differs
    by this factor."""
    rows = small_rows()
    rows["comparisons"] = [row | {"visible": visible} for row in rows["comparisons"]]
    base = {"commit": A, "block": 1, "launched": True, "status": "measured", "load_1min": "7.9"}
    rows["runs"] = [
        base | {"arm": arm, "metric": METRIC, "value": value}
        for arm, value in (("baseline", 100.0), ("baseline-aa", 100.0 * aa))
    ]
    return rows


def head(report: Report) -> str:
    return page(report).partition("## Executive summary")[0]


@pytest.mark.parametrize(("visible", "aa"), [(0.02, 1.0), (0.02, 1.09), (0.10, 0.95)])
def test_nothing_is_said_where_ten_percent_can_be_seen(visible: float, aa: float) -> None:
    report = reports.built(noisy(visible, aa))
    assert report.noise is None
    assert "noisy" not in head(report)


@pytest.mark.parametrize(("visible", "limit"), [(0.63, 63), (0.15, 15)])
def test_changes_that_could_not_be_seen_are_said_first(visible: float, limit: int) -> None:
    assert (
        "> **NOISY:** The machine was too busy or too noisy to tell differences below "
        f"{limit} % (`ttft_median_ms` of aaaaaaaa; 1 A/A pair, load average beside the launches "
        "7.9): measure again"
    ) in head(reports.built(noisy(visible)))


def test_the_first_screen_says_which_changes_could_be_seen() -> None:
    report = reports.built(noisy(0.013))
    (tile,) = [tile for tile in first_screen.tiles(report) if tile.title == "Noise"]
    assert (tile.value, tile.poor) == ("1.3 %", False)
    assert report.visible == 0.013


def test_same_carries_its_margin() -> None:
    assert "| same within 2.0 % = |" in table(grids(reports.built(noisy(0.01)))["patches"], "x")


def test_the_median_arm_says_what_could_be_seen() -> None:
    rows = noisy(0.02)
    rows["comparisons"][0] |= {"visible": 0.9}
    assert reports.built(rows).noise is None


def test_widened_intervals_are_said_first_with_their_evidence() -> None:
    rows = noisy(0.02)
    scatter = {"scatter": 2.6, "scatter_bound": 1.4, "scatter_pairs": 6, "widened": 2.6}
    rows["comparisons"] = [row | scatter for row in rows["comparisons"]]
    assert (
        "Identical code scattered more than the intervals allow, so they are widened: 2.6 times on "
        "`ttft_median_ms` (at least 1.4 with 99 % confidence, 6 A/A pairs)."
    ) in head(reports.built(rows))
    rows["comparisons"] = [row | {"widened": 1.0} for row in rows["comparisons"]]
    assert "widened" not in head(reports.built(rows))


def test_only_noisy_tasks_are_counted() -> None:
    rows = noisy(0.5)
    rows["comparisons"].append(reports.comparison(B, "human", 1.2, visible=0.03))
    report = reports.built(rows)
    assert report.noise is not None
    assert report.noise.commits == (A,)
    assert "differences below 50 % on 1 of 2 tasks (" in head(report)


def test_the_page_says_it_before_its_first_section(tmp_path: Path) -> None:
    reports.write(noisy(0.63), tmp_path / "tables")
    render.write(reports.about(), tmp_path / "tables", tmp_path / "report.md", tmp_path / "figures")
    html = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "to tell differences below 63 %" in html.partition("<main")[0]
