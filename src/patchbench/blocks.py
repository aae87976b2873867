"""Numbers of blocks: cohort k (from 0) has the blocks 100 k + 1, 100 k + 2, ..."""

from __future__ import annotations

STRIDE = 100


def block_numbers(cohort: int, blocks: int) -> range:
    """Numbers of a cohort's blocks."""
    return range(cohort * STRIDE + 1, cohort * STRIDE + blocks + 1)


def decided_by(block: int, first: int) -> range:
    """Blocks from which it follows whether a block beyond the ``first`` ones of its cohort is
    wanted: those first ones. Empty for a block that always runs."""
    if place_in_cohort(block) <= first:
        return range(0)
    return block_numbers(cohort_of(block), first)


def cohort_of(block: int) -> int:
    """The cohort that a block belongs to."""
    return (block - 1) // STRIDE


def place_in_cohort(block: int) -> int:
    """A block's number within its cohort, from 1."""
    return (block - 1) % STRIDE + 1
