"""The order of arms in a block."""

from __future__ import annotations

from patchbench.blocks import place_in_cohort
from patchbench.config import Protocol
from patchbench.records import AA, AA_PAIR, BASELINE


def block_order(arms: list[str], block: int, protocol: Protocol) -> list[str]:
    """Order of the arms in a block (1-based): a Williams square, so that over the blocks every arm
    stands in every place and has different arms before it: what a launch leaves behind for the
    next, a warm GPU say, does not always meet the same arm (E. J. Williams, "Experimental designs
    balanced for the estimation of residual effects of treatments", 1949). The baseline once more
    at the end of the first blocks is the A/A pair; alone in a block, its launches take turns in
    being the first one, for the first launch of a block may differ (docs/gpu-noise.md)."""
    # With fewer blocks than arms, steps of more than one still put every arm early and late.
    place, count = place_in_cohort(block), len(arms)
    if arms == [BASELINE] and place <= protocol.aa_blocks:
        return list(AA_PAIR if place % 2 else AA_PAIR[::-1])
    shift = (place - 1) * max(1, count // max(1, protocol.blocks)) % count
    # 0, 1, last, 2, last but one, ...: no two neighbours are equally far apart, if even in number.
    row = [(at + 1) // 2 if at % 2 else -(at // 2) for at in range(count)]
    order = [arms[(at + shift) % count] for at in row]
    return [*order, AA] if place <= protocol.aa_blocks else order
