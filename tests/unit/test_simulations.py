"""Small, seeded versions of what benchmarks/simulate_verdicts.py prints."""

from __future__ import annotations

from pathlib import Path

import pytest
from benchmarks import simulate_verdicts
from benchmarks.simulate_verdicts import Case, heavy, normal, rates, recorded, single_pair

FALSE = Case("normal 3 %", normal(0.03))

# The five launches of ../shared/data/vllm-h100/aa-launches.csv, output tokens per second.
H100 = [7205.628, 7286.44, 8823.96, 8097.666, 8189.337]


@pytest.mark.parametrize(
    "case",
    [
        FALSE,
        FALSE._replace(drift=0.03),
        FALSE._replace(extended=True),
        FALSE._replace(drift=0.03, extended=True),
        Case("heavy tails 3 %", heavy(0.03), extended=True),
    ],
    ids=lambda case: f"{case.noise}, {case.drift}, {case.extended}",
)
def test_identical_code_is_hardly_ever_called_faster(case: Case) -> None:
    assert rates(case, 400, seed=3).faster <= 0.025


def test_a_gain_of_5_percent_is_found_where_launches_repeat_within_1_percent() -> None:
    for extended in (False, True):
        found = rates(Case("", normal(0.01), 0.03, 0.05, extended), 200, seed=4)
        assert found.faster >= 0.95
        assert found.slower == 0


def test_extension_finds_gains_that_five_blocks_leave_open() -> None:
    case = Case("", normal(0.02), gain=0.05)
    short = rates(case, 200, seed=5, own_floor=False)
    longer = rates(case._replace(extended=True), 200, seed=5, own_floor=False)
    assert longer.faster > short.faster + 0.1
    assert 5 < longer.blocks < 10
    assert short.blocks == 5


def test_two_looks_are_not_fooled_where_a_look_after_each_block_is() -> None:
    """With the floor held at its smallest, so that nothing but the looks makes the difference."""
    case = FALSE._replace(extended=True)
    two = rates(case, 1500, seed=6, own_floor=False)
    each = simulate_verdicts.impatient(case, 1500, seed=6)
    assert two.faster <= 0.035  # 2.3 % in the long run
    assert each.faster > two.faster
    assert each.different > 0.06


def test_real_launches_of_identical_code_are_not_called_different() -> None:
    for extended in (False, True):
        found = rates(Case("", recorded(H100), extended=extended), 400, seed=7)
        assert found.different <= 0.025
    assert 0.75 <= single_pair(H100, 400, seed=7) <= 0.90


def test_identical_code_comes_out_as_same_with_seven_pairs_not_with_three() -> None:
    assert simulate_verdicts.same(3, 300, seed=8)[0] == 0
    own, true = simulate_verdicts.same(7, 300, seed=8)
    assert min(own, true) > 0.9


def test_the_saved_launches_are_these() -> None:
    if not simulate_verdicts.RECORDED.is_file():
        pytest.skip("no recorded launches here")
    assert simulate_verdicts.read_launches(simulate_verdicts.RECORDED)["output_throughput"] == H100


def test_the_same_seed_gives_the_same_rates() -> None:
    assert rates(FALSE, 50, seed=1) == rates(FALSE, 50, seed=1)


def test_the_table_has_every_row_and_marks_what_breaks_its_limit(tmp_path: Path) -> None:
    lines = list(simulate_verdicts.table(5, 1, tmp_path / "none.csv"))
    assert len(lines) == 1 + 2 * 18 + 2 + 1
    loud = Case("", normal(0.03), gain=0.5)
    line = simulate_verdicts._line(loud, "faster", 0.5, 5.0, None)
    assert line == "|  | 50 % | 5 | faster | 50.00 % | 5.0 |  |"
