"""Confidence of an interval that holds however often the blocks are looked at.

A look is a verdict on more blocks than before. The first look comes after ``first`` blocks. Up to
the last planned block every number of blocks counts as a look, taken or not: bounds that hold for a
look after each block hold for any choice among these looks, whatever it depends on. Beyond the plan
the looks that were taken count, as the journal has them.

The error allowed is spent as blocks are added (Lan and DeMets 1983): ``PLANNED`` of it by the last
planned block, along the curve that comes close to equal bounds at all looks (Pocock 1977); the rest
beyond it, without end, so that a person may raise the number of blocks after having read a report.
Bounds follow from numerical integration of a normal random walk that stops where it crosses
(Armitage, McPherson and Rowe 1969), and serve as levels of Student's t.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from scipy import optimize, special

from patchbench.config import Protocol
from patchbench.ledger.looks import Look

PLANNED = 0.9
# The t statistics of few blocks are less alike from one look to the next than a normal walk is, so
# looks after the first err 1.2 to 1.5 times as often as the integral says (simulated).
AFTER_FIRST = 0.8
# Nodes of the integral over the walk: more change no level by a thousandth of itself.
NODES = 96
# The factor on p is exact for a p that counts as this one over all looks, and a little too large
# for one near 0.05: adjusted over a table, small p decide.
STRICT = 0.005


class Looks(NamedTuple):
    """The plan in force at the first look: the blocks that all arms get, and the most planned;
    ``beyond`` are the numbers of blocks, more than planned, at which there was a look since."""

    first: int
    last: int
    beyond: tuple[int, ...] = ()

    def level(self, blocks: int, confidence: float = 0.95) -> float:
        """Return the confidence of the interval after so many blocks, so that the intervals at all
        looks hold together with the given one."""
        return 1 - self._nominal(blocks, 1 - confidence)

    def p(self, p: float, blocks: int) -> float:
        """Return the p of one test after so many blocks as a p over all looks."""
        return min(1.0, p * STRICT / self._nominal(blocks, STRICT))

    def _nominal(self, blocks: int, error: float) -> float:
        if blocks <= self.last:
            levels = nominal_levels(tuple(range(self.first, self.last + 1)), self.last, error)
            return levels[max(0, blocks - self.first)]
        beyond = sorted({blocks, *(look for look in self.beyond if self.last < look < blocks)})
        return nominal_levels((*range(self.first, self.last + 1), *beyond), self.last, error)[-1]


def planned(protocol: Protocol, taken: Sequence[Look] = ()) -> Looks:
    """Return the looks that a protocol plans, or that the first look's did; ``taken`` are those of
    the journal. Without ``max_blocks`` all blocks always run."""
    if not taken:
        return Looks(protocol.blocks, protocol.last_block)
    first, last = taken[0].first, taken[0].last
    beyond = sorted({look.blocks for look in taken if look.blocks > last})
    return Looks(first, last, tuple(beyond))


def spent(blocks: int, last: int) -> float:
    """Return the share of the error allowed that may be spent by so many blocks."""
    if blocks <= last:
        return PLANNED * math.log1p((math.e - 1) * blocks / last)
    return 1 - (1 - PLANNED) * last / blocks


@lru_cache(maxsize=1024)
def nominal_levels(looks: tuple[int, ...], last: int, error: float) -> tuple[float, ...]:
    """Return the two-sided level of the test at each look (ascending numbers of blocks), so that a
    walk without drift crosses any bound in ``error`` of all cases at most."""
    nodes, weights = np.polynomial.legendre.leggauss(NODES)
    before = looks[0]
    levels = [error * spent(before, last)]
    bound = -float(special.ndtri(levels[0] / 2)) * math.sqrt(before)
    at = bound * nodes
    mass = bound * weights * _density(at, before)
    for blocks in looks[1:]:
        wanted = AFTER_FIRST * error * (spent(blocks, last) - spent(before, last))
        bound = _bound(at, mass, blocks - before, wanted, most=9 * math.sqrt(blocks))
        levels.append(2 * float(special.ndtr(-bound / math.sqrt(blocks))))
        then = bound * nodes
        mass = bound * weights * (_density(then[:, None] - at[None, :], blocks - before) @ mass)
        at, before = then, blocks
    return tuple(levels)


def _density(at: np.ndarray, variance: int) -> np.ndarray:
    return np.exp(-(at**2) / (2 * variance)) / math.sqrt(2 * math.pi * variance)


def _bound(at: np.ndarray, mass: np.ndarray, steps: int, wanted: float, most: float) -> float:
    """Return the bound that so many more steps cross, to either side, with the probability
    wanted."""

    def excess(bound: float) -> float:
        return 2 * float(mass @ special.ndtr((at - bound) / math.sqrt(steps))) - wanted

    return float(optimize.brentq(excess, 0.0, most))
