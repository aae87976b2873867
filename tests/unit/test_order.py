"""Over the blocks of a task every arm stands in every place, after different ones."""

from __future__ import annotations

import itertools
from collections import Counter

import pytest

from patchbench.benchmark.order import block_order
from patchbench.config import Protocol


@pytest.mark.parametrize("count", [2, 3, 5, 8])
def test_over_as_many_blocks_as_arms_every_arm_stands_in_every_place(count: int) -> None:
    arms = [f"arm{index}" for index in range(count)]
    square = [block_order(arms, block, Protocol(aa_blocks=0)) for block in range(1, count + 1)]
    assert all(sorted(order) == sorted(arms) for order in square)
    for place in zip(*square, strict=True):
        assert sorted(place) == sorted(arms)


@pytest.mark.parametrize("count", [2, 4, 6, 8])
def test_over_as_many_blocks_as_arms_each_follows_each_other_one_once(count: int) -> None:
    arms = [f"arm{index}" for index in range(count)]
    square = [block_order(arms, block, Protocol(aa_blocks=0)) for block in range(1, count + 1)]
    pairs = [pair for order in square for pair in itertools.pairwise(order)]
    assert sorted(pairs) == sorted(itertools.permutations(arms, 2))


@pytest.mark.parametrize("count", [5, 7, 9])
def test_an_odd_number_of_arms_has_no_fixed_neighbours_either(count: int) -> None:
    arms = [f"arm{index}" for index in range(count)]
    square = [block_order(arms, block, Protocol(aa_blocks=0)) for block in range(1, count + 1)]
    pairs = Counter(pair for order in square for pair in itertools.pairwise(order))
    assert max(pairs.values()) == 2
    assert len(pairs) == count * (count - 1) // 2


def test_the_rotation_begins_again_after_a_whole_square() -> None:
    arms = ["baseline", "human", "alba"]
    assert block_order(arms, 1, Protocol(aa_blocks=0)) == arms
    assert block_order(arms, 4, Protocol(aa_blocks=0)) == arms
    assert block_order(arms, 2, Protocol(aa_blocks=0)) == ["human", "alba", "baseline"]


def test_with_fewer_blocks_than_arms_every_arm_still_stands_early_and_late() -> None:
    arms = [f"arm{index}" for index in range(10)]
    orders = [block_order(arms, block, Protocol(blocks=5, aa_blocks=0)) for block in range(1, 6)]
    for arm in arms:
        places = [order.index(arm) for order in orders]
        assert min(places) < 5 <= max(places)


def test_the_first_blocks_end_with_the_baseline_once_more() -> None:
    arms = ["baseline", "human"]
    orders = [block_order(arms, block, Protocol(aa_blocks=2)) for block in (1, 2, 3)]
    assert orders == [
        ["baseline", "human", "baseline-aa"],
        ["human", "baseline", "baseline-aa"],
        ["baseline", "human"],
    ]


def test_a_pair_alone_in_its_block_takes_turns_in_being_first() -> None:
    orders = [block_order(["baseline"], block, Protocol(aa_blocks=4)) for block in (3, 4, 5)]
    assert orders == [["baseline", "baseline-aa"], ["baseline-aa", "baseline"], ["baseline"]]
