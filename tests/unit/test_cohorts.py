"""Agents that come later get blocks of their own; who was there stays where it was."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from patchbench.errors import BadInput
from patchbench.ledger.blocks import block_numbers, cohort_of, place_in_cohort
from patchbench.plan.cohorts import FILE, Member, Reading, assign, recall, remember, renamed

ONE, TWO = {"c": "1"}, {"c": "2"}


def test_the_first_agents_share_the_first_cohort() -> None:
    found = assign({"alba": Reading(ONE), "brio": Reading(ONE)}, {}, joint=False)
    assert {name: member.cohort for name, member in found.items()} == {"alba": 0, "brio": 0}


def test_all_new_agents_of_a_run_share_a_new_cohort() -> None:
    before = {"alba": Member(cohort=0, fingerprints=ONE)}
    found = assign(
        {"alba": Reading(ONE), "brio": Reading(ONE), "corso": Reading(ONE)}, before, joint=False
    )
    assert {n: m.cohort for n, m in found.items()} == {"alba": 0, "brio": 1, "corso": 1}


def test_an_agent_taken_out_keeps_its_place_and_its_patches() -> None:
    before = {
        "alba": Member(cohort=0, fingerprints=ONE),
        "brio": Member(cohort=1, fingerprints=TWO),
    }
    found = assign({"alba": Reading(TWO)}, before, joint=False)
    assert found["brio"] == before["brio"]
    assert found["alba"] == Member(cohort=0, fingerprints=TWO)
    assert assign({"corso": Reading(ONE)}, before, joint=False)["corso"].cohort == 2


def test_joint_puts_all_into_one_cohort() -> None:
    before = {
        "alba": Member(cohort=0, fingerprints=ONE),
        "brio": Member(cohort=1, fingerprints=ONE),
    }
    found = assign({"alba": Reading(ONE), "brio": Reading(ONE)}, before, joint=True)
    assert {member.cohort for member in found.values()} == {0}


def test_members_are_remembered(tmp_path: Path) -> None:
    assert recall(tmp_path) == {}
    members = assign({"alba": Reading(ONE)}, {}, joint=False)
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


# --- places that are away, and new names ----------------------------------------------------------

PATCHES = {"c": "1111", "d": "2222"}
NONE = dict.fromkeys(PATCHES, "missing")


def test_a_place_that_is_away_for_a_while_changes_nothing() -> None:
    first = assign({"alba": Reading(PATCHES)}, {}, joint=False)
    gone = assign({"alba": Reading(NONE, ("p",))}, first, joint=False)
    assert gone == first
    assert assign({"alba": Reading(NONE, ("p",))}, gone, joint=False) == first
    assert assign({"alba": Reading(PATCHES)}, gone, joint=False) == first
    changed = {**PATCHES, "d": "3333"}
    assert assign({"alba": Reading(changed)}, gone, joint=False)["alba"].fingerprints == changed


def test_a_place_that_was_never_there_hides_no_change() -> None:
    first = assign({"alba": Reading(PATCHES, ("p",))}, {}, joint=False)
    changed = {**PATCHES, "d": "3333"}
    found = assign({"alba": Reading(changed, ("p",))}, first, joint=False)
    assert found["alba"].fingerprints == changed
    old = {"alba": Member(cohort=0, fingerprints=PATCHES)}  # of a version that noted no places
    noted = assign({"alba": Reading(PATCHES, ("p",))}, old, joint=False)
    assert noted["alba"].away == ("p",)


def test_a_patch_that_the_machine_refuses_to_read_is_not_missing() -> None:
    first = assign({"alba": Reading(PATCHES)}, {}, joint=False)
    found = assign({"alba": Reading({"c": "unreadable", "d": "missing"})}, first, joint=False)
    assert found["alba"].fingerprints == {"c": "1111", "d": "missing"}


def test_a_patch_that_is_gone_from_a_place_that_is_there_is_missing() -> None:
    first = assign({"alba": Reading(PATCHES)}, {}, joint=False)
    found = assign({"alba": Reading({**PATCHES, "d": "missing"})}, first, joint=False)
    assert found["alba"].fingerprints["d"] == "missing"


def test_an_agent_with_a_new_name_is_known_by_its_patches() -> None:
    before = assign({"alba": Reading(PATCHES), "brio": Reading(NONE)}, {}, joint=False)
    other = {**PATCHES, "d": "3333"}
    assert renamed({"corso": Reading(PATCHES), "brio": Reading(NONE)}, before) == {"corso": "alba"}
    assert renamed({"corso": Reading(other), "brio": Reading(NONE)}, before) == {}
    assert renamed({"corso": Reading(NONE), "alba": Reading(PATCHES)}, before) == {}
    assert renamed({"corso": Reading(PATCHES), "alba": Reading(PATCHES)}, before) == {}
    two = renamed({"corso": Reading(PATCHES), "dolce": Reading(PATCHES)}, before)
    assert two == {"corso": "alba"}
    called = {**before, "alba": msgspec.structs.replace(before["alba"], called="corso")}
    assert renamed({"corso": Reading(other), "brio": Reading(NONE)}, called) == {"corso": "alba"}


def test_a_cohort_below_0_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text('{"alba": {"cohort": -1, "fingerprints": {}}}')
    with pytest.raises(BadInput, match=r"cohorts\.json.*>= 0.*next: delete it"):
        recall(tmp_path)
