"""docs/verdicts.md says what the code does: its example, its names, its thresholds."""

from __future__ import annotations

import math
import re
from pathlib import Path

import msgspec
import pytest
from scipy import stats

from patchbench.config import VerdictRules
from patchbench.report.model import AgentRow
from patchbench.verdicts.comparisons import Comparison, compare_all
from patchbench.verdicts.noise_floor import ENOUGH_PAIRS
from patchbench.verdicts.rule import MARKS, REVIEW_MARK, VERDICTS
from patchbench.verdicts.statistics import level
from tests.unit import make

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "verdicts.md").read_text()
TEXT = " ".join(PAGE.split())
METRIC = "output_tps"


def numbers(row: str) -> list[float]:
    """The numbers in one row of the example's table."""
    (line,) = [text for text in PAGE.splitlines() if text.startswith(f"| {row} |")]
    return [float(cell) for cell in line.strip("| ").split(" | ")[1:]]


@pytest.fixture(scope="module")
def rows() -> dict[tuple[str, str], Comparison]:
    """The example's comparisons, made of the numbers on the page."""
    values = {"baseline": numbers("baseline"), "human": numbers("human"), "alba": numbers("agent")}
    metrics = make.measured(make.COMMIT, values, METRIC)
    first, second = map(float, re.search(r"ran twice: (\d+), then (\d+)", TEXT).groups())
    assert first == values["baseline"][0]
    aa = make.run("baseline-aa", 1, metrics={METRIC: second})
    metrics = msgspec.structs.replace(metrics, runs=(*metrics.runs, aa))
    task = make.task(primary_metric=METRIC)
    found = compare_all({task.commit: task}, {task.commit: metrics}, ["alba"], make.RULES)
    return {(row.arm, row.role): row for row in found}


def test_the_examples_logarithms() -> None:
    logs = [math.log(a / b) for a, b in zip(numbers("agent"), numbers("baseline"), strict=True)]
    assert numbers("d of the agent") == [round(value, 4) for value in logs]
    error = stats.tstd(logs) / math.sqrt(len(logs))
    t = stats.t.ppf(0.975, len(logs) - 1)
    mean = sum(logs) / len(logs)
    assert f"Mean of d {mean:.4f}, standard error {error:.4f}, t(4) = {t:.3f}" in TEXT


def test_the_examples_verdicts(rows: dict[tuple[str, str], Comparison]) -> None:
    agent, human = rows["alba", "primary"], rows["alba", "human"]
    floor = f"{agent.floor:.3f}"[1:]
    assert f"ratio {agent.ratio:.3f}, interval [{agent.low:.3f}, {agent.high:.3f}]" in TEXT
    assert agent.floor_source == "A/A pairs and the human's blocks"
    assert (
        f"floor {100 * agent.floor:.1f} %. The interval lies above 1, the ratio above 1{floor}"
        in (TEXT)
    )
    assert f"p is {agent.p:.5f}, adjusted over the two comparisons {agent.p_adjusted:.5f}" in TEXT
    assert f": **{agent.verdict}**." in TEXT
    said = f"over human is {human.ratio:.3f} [{human.low:.3f}, {human.high:.3f}]"
    assert f"{said}; {human.low:.3f} lies below 1 / 1{floor}, so `~ human`" in TEXT
    assert (human.verdict, agent.at_least_human) == ("inconclusive", False)
    assert human.low < 1 / (1 + agent.floor)


def test_every_verdict_stands_in_the_table_with_its_mark() -> None:
    found = re.findall(r"^\| ([a-z -]+?) \| (?:`(.)`)? ?\| ", PAGE, re.MULTILINE)
    assert sorted(found) == sorted((verdict, MARKS[verdict].strip()) for verdict in VERDICTS)
    assert f"(`review`, mark `{REVIEW_MARK}`)" in TEXT


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("min_floor", "`statistics.min_floor` ({0:.0%})"),
        ("confidence", "{0:.0%} (`statistics.confidence`)"),
        ("min_blocks", "`min_blocks` ({0})"),
        ("implausible", "`implausible` ({0:g}x)"),
        ("review_human_gain", "`review_human_gain` ({0:g}) times"),
        ("review_ratio", "`review_ratio` ({0:g})"),
    ],
)
def test_thresholds_are_the_defaults(key: str, said: str) -> None:
    assert said.format(getattr(VerdictRules(), key)).replace("%", " %") in TEXT


def test_names_and_levels_are_those_of_the_code() -> None:
    assert f"{100 * level(0.95, 2):.1f} % at each of the two looks" in TEXT
    assert ENOUGH_PAIRS == 5
    assert "of the same model if there are five" in TEXT
    for name in ("measured_only", "all_planned"):
        assert f"`{name}`" in TEXT
        assert name in AgentRow.__struct_fields__
