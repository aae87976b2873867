"""The numbers of docs/examples come out again from their tables."""

from __future__ import annotations

from pathlib import Path

import pytest

from patchbench.report import about
from patchbench.report.layout import grids
from patchbench.report.markdown import table
from patchbench.report.model import Report
from patchbench.report.render import numbers

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"


def built(name: str) -> Report:
    return numbers(about.read(EXAMPLES / name), EXAMPLES / name / "tables")


@pytest.mark.parametrize("name", ["h100", "vllm-cpu"])
def test_the_tables_of_an_example_are_those_of_its_report(name: str) -> None:
    text = (EXAMPLES / name / "report.md").read_text(encoding="utf-8")
    shown = grids(built(name))
    names = ("agents", "closure", "coverage", "patch_quality", "types", "speedups", "means")
    for grid in (*names, "pairs", "aa", "scatters"):
        assert table(shown[grid], "report.html", fold=False) in text, grid


def test_the_gains_of_the_h100_example() -> None:
    cells = {(row.commit[:8], found.arm): found for row in built("h100").speedups
             for found in row.cells}  # fmt: skip
    human, brio = cells["31b442e0", "human"], cells["31b442e0", "brio"]
    assert (human.verdict, round(human.ratio, 2)) == ("faster, guard open", 1.10)
    assert (round(human.low, 2), round(human.high, 2)) == (1.07, 1.13)
    assert (brio.verdict, round(brio.ratio, 2), brio.blocks_needed) == ("inconclusive", 0.84, 4)
