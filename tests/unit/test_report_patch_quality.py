"""Patches are shown with their size, tests, and likeness to the human's patch and the prompt."""

from __future__ import annotations

from typing import Any

from patchbench.report.layout import grids
from patchbench.report.model import Report
from tests.unit import reports
from tests.unit.reports import COMMITS, page, row, small_rows

A, B = COMMITS[:2]


def with_diffs(**more: Any) -> Report:
    """The small campaign, its patches validated; ``more`` is what alba's patch for A has."""
    rows = small_rows()
    for patch in rows["patches"]:
        if patch["status"] == "ok":
            patch |= {"files": 2, "lines_added": 9, "lines_removed": 1, "tests_touched": False}
        if (patch["commit"], patch["arm"]) == (A, "alba"):
            patch |= {"files": 4, "lines_added": 30, "similarity": 0.5, "tests_touched": True}
            patch |= more
    rows["outcomes"][5] |= {"cause": "patch.syntax"}
    return reports.built(rows)


def test_each_arm_has_a_row_and_unknown_shares_are_dashes() -> None:
    text = page(with_diffs(prompt_overlap=0.25))
    alba = row(text, "| **Alba**", "| Arm | Patches | Files")
    assert list(alba.values())[1:] == ["2", "3", "20.5", "1", "1", "50.0 %", "50.0 %", "25.0 %"]
    human = row(text, "| **Human**", "| Arm | Patches | Files")
    assert list(human.values())[1:] == ["2", "2", "10", "0", "0", "–", "–", "–"]


def test_the_table_of_patches_has_the_columns() -> None:
    grid = grids(with_diffs())["details"]
    heads = [column.title for column in grid.columns]
    (alba,) = (cells for cells in grid.rows if cells[0].sort == A and cells[1].text == "Alba")
    shown = dict(zip(heads, (cell.plain for cell in alba), strict=True))
    assert shown["Lines"] == "+30 −1"
    assert shown["Similar to the human's"] == "50.0 %"
    assert (shown["Human's lines in the prompt"], shown["Touches tests"]) == ("", "yes")


def test_a_prompt_that_shows_the_humans_patch_is_named() -> None:
    assert "lines for aaaaaaaa alba: leave these patches out" in page(
        with_diffs(prompt_overlap=0.5)
    )
    assert "leave these patches out" not in page(with_diffs(prompt_overlap=0.49))


def test_a_campaign_without_validated_patches_has_no_table() -> None:
    assert reports.small().patch_quality == ()
