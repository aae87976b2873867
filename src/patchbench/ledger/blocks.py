"""Numbers of blocks: cohort k (from 0) has the blocks 100 k + 1, 100 k + 2, ..."""

from __future__ import annotations

STRIDE = 100


def block_numbers(cohort: int, blocks: int) -> range:
    """Return the numbers of a cohort's first ``blocks`` blocks."""
    return range(cohort * STRIDE + 1, cohort * STRIDE + blocks + 1)


def decided_by(block: int, first: int) -> range:
    """Return the blocks of a block's cohort before it, which decide whether it runs; an empty range
    for one of the ``first`` blocks, which always run."""
    place = place_in_cohort(block)
    return block_numbers(cohort_of(block), place - 1) if place > first else range(0)


def cohort_of(block: int) -> int:
    """Return the cohort of a block."""
    return (block - 1) // STRIDE


def place_in_cohort(block: int) -> int:
    """Return a block's place within its cohort, from 1."""
    return (block - 1) % STRIDE + 1
