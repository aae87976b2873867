"""How often the data may be looked at, and what each look costs.

Who looks after every block and stops as soon as something shows is fooled two to three times as
often as the interval says (benchmarks/simulate_verdicts.py prints it). So a task has at most two
looks: one when its first blocks are done and one at the end, where the number of further blocks
follows from the spread at the first look alone. Each look spends half of the error allowed
(Bonferroni), which holds for any dependence between the two.
"""

from __future__ import annotations

from typing import NamedTuple

from patchbench.config import Protocol


class Planned(NamedTuple):
    """Blocks per arm: those that always run, and the most that may."""

    first: int
    last: int

    @property
    def looks(self) -> int:
        """How often a verdict may be looked for."""
        return 2 if self.last > self.first else 1


def planned(protocol: Protocol) -> Planned:
    """The blocks that a protocol plans. Without ``max_blocks`` all blocks always run."""
    return Planned(protocol.blocks, protocol.last_block)


def level(confidence: float, looks: int) -> float:
    """Confidence of the interval at each look, so that all looks together keep ``confidence``."""
    return 1 - (1 - confidence) / looks
