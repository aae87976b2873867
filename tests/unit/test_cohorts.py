"""Agents that come later get blocks of their own; who was there stays where it was."""

from __future__ import annotations

from pathlib import Path

import pytest

from patchbench.errors import BadInput
from patchbench.ledger.blocks import block_numbers, cohort_of, place_in_cohort
from patchbench.plan.cohorts import FILE, Member, assign, recall, remember

ONE, TWO = {"c": "1"}, {"c": "2"}


def test_the_first_agents_share_the_first_cohort() -> None:
    found = assign({"alba": ONE, "brio": ONE}, {}, joint=False)
    assert {name: member.cohort for name, member in found.items()} == {"alba": 0, "brio": 0}


def test_all_new_agents_of_a_run_share_a_new_cohort() -> None:
    before = {"alba": Member(cohort=0, fingerprints=ONE)}
    found = assign({"alba": ONE, "brio": ONE, "corso": ONE}, before, joint=False)
    assert {n: m.cohort for n, m in found.items()} == {"alba": 0, "brio": 1, "corso": 1}


def test_an_agent_taken_out_keeps_its_place_and_its_patches() -> None:
    before = {
        "alba": Member(cohort=0, fingerprints=ONE),
        "brio": Member(cohort=1, fingerprints=TWO),
    }
    found = assign({"alba": TWO}, before, joint=False)
    assert found["brio"] == before["brio"]
    assert found["alba"] == Member(cohort=0, fingerprints=TWO)
    assert assign({"corso": ONE}, before, joint=False)["corso"].cohort == 2


def test_joint_puts_all_into_one_cohort() -> None:
    before = {
        "alba": Member(cohort=0, fingerprints=ONE),
        "brio": Member(cohort=1, fingerprints=ONE),
    }
    found = assign({"alba": ONE, "brio": ONE}, before, joint=True)
    assert {member.cohort for member in found.values()} == {0}


def test_members_are_remembered(tmp_path: Path) -> None:
    assert recall(tmp_path) == {}
    members = assign({"alba": ONE}, {}, joint=False)
    remember(tmp_path, members)
    assert recall(tmp_path) == members


def test_a_broken_memory_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text('{"alba": ')
    with pytest.raises(BadInput, match=r"cohorts\.json.*next: delete it"):
        recall(tmp_path)


@pytest.mark.parametrize("cohort", [0, 1, 7])
def test_a_blocks_number_says_its_cohort_and_place(cohort: int) -> None:
    numbers = list(block_numbers(cohort, 99))
    assert {cohort_of(number) for number in numbers} == {cohort}
    assert [place_in_cohort(number) for number in numbers] == list(range(1, 100))
    assert block_numbers(cohort + 1, 1)[0] == numbers[-1] + 2
