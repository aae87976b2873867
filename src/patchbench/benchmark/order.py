"""The order of arms in a block."""

from __future__ import annotations

from patchbench.config import Protocol
from patchbench.ledger.blocks import place_in_cohort
from patchbench.records import AA, AA_PAIR, BASELINE


def block_order(arms: list[str], block: int, protocol: Protocol) -> list[str]:
    """Return the order of the arms in a block (1-based).

    It is a Williams square: over the blocks every arm takes every place and follows different
    arms, so that residual effects of a launch on the next (a warm GPU, say) do not always meet the
    same arm (E. J. Williams, "Experimental designs balanced for the estimation of residual effects
    of treatments", 1949). The first blocks end with the baseline once more, the A/A pair. In blocks
    of the pair alone the two launches take turns in being first, because the first launch of a
    block may differ (docs/gpu-noise.md)."""
    # If blocks are fewer than arms, larger steps still put every arm early and late.
    place, count = place_in_cohort(block), len(arms)
    if arms == [BASELINE] and place <= protocol.aa_blocks:
        return list(AA_PAIR if place % 2 else AA_PAIR[::-1])
    shift = (place - 1) * max(1, count // max(1, protocol.blocks)) % count
    # 0, 1, last, 2, last but one, ...: for an even count all distances of neighbours differ.
    row = [(at + 1) // 2 if at % 2 else -(at // 2) for at in range(count)]
    order = [arms[(at + shift) % count] for at in row]
    return [*order, AA] if place <= protocol.aa_blocks else order
