"""The report's first lines say if the machine was too busy or too noisy."""

from __future__ import annotations

from pathlib import Path

import pytest

from patchbench.report import render
from patchbench.report.model import Report
from tests.unit import reports
from tests.unit.reports import COMMITS, Rows, page, small_rows

A, B = COMMITS[:2]
METRIC = "ttft_median_ms"


def noisy(floor: float, aa: float) -> Rows:
    """The small campaign with this noise floor and one A/A pair that differs by this factor."""
    rows = small_rows()
    rows["comparisons"] = [row | {"floor": floor} for row in rows["comparisons"]]
    base = {"commit": A, "block": 1, "launched": True, "status": "measured", "load_1min": "7.9"}
    rows["runs"] = [
        base | {"arm": arm, "metric": METRIC, "value": value}
        for arm, value in (("baseline", 100.0), ("baseline-aa", 100.0 * aa))
    ]
    return rows


def head(report: Report) -> str:
    return page(report).partition("## Executive summary")[0]


@pytest.mark.parametrize(("floor", "aa"), [(0.02, 1.0), (0.02, 1.09), (0.10, 0.95)])
def test_nothing_is_said_of_noise_within_the_margin(floor: float, aa: float) -> None:
    report = reports.built(noisy(floor, aa))
    assert report.noise is None
    assert "noisy" not in head(report)


@pytest.mark.parametrize(
    ("floor", "aa", "limit"), [(0.63, 1.2, 63), (0.02, 1.25, 25), (0.02, 0.8, 25)]
)
def test_noise_beyond_the_margin_is_said_first(floor: float, aa: float, limit: int) -> None:
    assert (
        "> **NOISY:** The machine was too busy or too noisy to tell differences below "
        f"{limit} %: launches of identical code differed by up to that (`ttft_median_ms` of "
        "aaaaaaaa; 1 A/A pair, load average beside the launches 7.9)"
    ) in head(reports.built(noisy(floor, aa)))


def test_only_noisy_tasks_are_counted() -> None:
    rows = noisy(0.02, 1.5)
    rows["comparisons"].append(reports.comparison(B, "human", 1.2))
    report = reports.built(rows)
    assert report.noise is not None
    assert report.noise.commits == (A,)
    assert "differences below 50 % on 1 of 2 tasks: launches" in head(report)


def test_the_page_says_it_before_its_first_section(tmp_path: Path) -> None:
    reports.write(noisy(0.63, 1.2), tmp_path / "tables")
    render.write(reports.about(), tmp_path / "tables", tmp_path / "report.md", tmp_path / "figures")
    html = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "to tell differences below 63 %" in html.partition("<main")[0]
