"""docs/verdicts.md says what the code does: its example, its names, its thresholds."""

from __future__ import annotations

import math
import re
from pathlib import Path

import pytest
from scipy import stats

from patchbench.config import VerdictRules
from patchbench.report.model import AgentRow
from patchbench.verdicts.comparisons import Comparison, compare_all
from patchbench.verdicts.identical import CONFIDENCE
from patchbench.verdicts.looks import PLANNED, Looks
from patchbench.verdicts.rule import MARKS, REVIEW_MARK, VERDICTS
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
    task = make.task(primary_metric=METRIC)
    found = compare_all({task.commit: task}, {task.commit: metrics}, ["alba"], VerdictRules())
    return {(row.arm, row.role): row for row in found}


def test_the_examples_logarithms() -> None:
    logs = [math.log(a / b) for a, b in zip(numbers("agent"), numbers("baseline"), strict=True)]
    assert numbers("d of the agent") == [round(value, 4) for value in logs]
    error = stats.tstd(logs) / math.sqrt(len(logs))
    t = stats.t.ppf((1 + Looks(5, 5).level(5)) / 2, len(logs) - 1)
    mean = sum(logs) / len(logs)
    assert f"Mean of d {mean:.4f}, standard error {error:.4f}, t(4) = {t:.3f} at 95.5 %" in TEXT


def test_the_examples_verdicts(rows: dict[tuple[str, str], Comparison]) -> None:
    agent, human = rows["alba", "primary"], rows["alba", "human"]
    assert f"ratio {agent.ratio:.3f}, interval [{agent.low:.3f}, {agent.high:.3f}]" in TEXT
    over_looks = Looks(5, 5).p(agent.p, 5)
    assert (
        f"the ratio above {1 + agent.margin:g}, and p is {agent.p:.5f}, over all looks "
        f"{over_looks:.5f}, adjusted over the two comparisons {agent.p_adjusted:.5f}"
    ) in TEXT
    assert f": **{agent.verdict}**." in TEXT
    said = f"over human is {human.ratio:.3f} [{human.low:.3f}, {human.high:.3f}]"
    assert f"{said}; {human.low:.3f} lies below 1 / {1 + human.margin:g}, so `~ human`" in TEXT
    assert (human.verdict, agent.at_least_human) == ("inconclusive", False)
    assert human.low < 1 / (1 + agent.margin)


def test_every_verdict_stands_in_the_table_with_its_mark() -> None:
    found = re.findall(r"^\| ([a-z ,-]+?) \| (?:`(.)`)? ?\| ", PAGE, re.MULTILINE)
    assert sorted(found) == sorted((verdict, MARKS[verdict].strip()) for verdict in VERDICTS)
    assert f"(`review`, mark `{REVIEW_MARK}`)" in TEXT


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("margin", "`statistics.margin` ({0:.0%})"),
        ("guard_margin", "`statistics.guard_margin` ({0:.0%})"),
        ("confidence", "{0:.0%} (`statistics.confidence`), however often one looks"),
        ("min_blocks", "`min_blocks` ({0})"),
        ("implausible", "`implausible` ({0:g}x)"),
        ("review_human_gain", "`review_human_gain` ({0:g}) times"),
        ("review_ratio", "`review_ratio` ({0:g})"),
    ],
)
def test_thresholds_are_the_defaults(key: str, said: str) -> None:
    assert said.format(getattr(VerdictRules(), key)).replace("%", " %") in TEXT


def test_names_and_levels_are_those_of_the_code() -> None:
    later = [100 * Looks(5, 10).level(blocks) for blocks in range(5, 11)]
    assert f"the interval after 5 blocks has {later[0]:.1f} %" in TEXT
    assert f"later ones {min(later[1:]) - 0.05:.1f} % or more" in TEXT
    assert f"the only look has {100 * Looks(5, 5).level(5):.1f} %" in TEXT
    assert f"{5 * (1 - PLANNED):.1f} % is kept" in TEXT
    assert f"(three pairs or more, F test, {CONFIDENCE:.0%})".replace("%", " %") in TEXT
    for name in ("measured_only", "all_planned"):
        assert f"`{name}`" in TEXT
        assert name in AgentRow.__struct_fields__
