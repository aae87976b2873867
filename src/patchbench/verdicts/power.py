"""What a number of blocks can show: the chance of a verdict, the smallest gain that is found.

Log ratios of blocks are taken as normal with standard deviation ``sd``. The width of Student's
interval varies from one campaign to the next, so a chance is the mean over its distribution (chi,
at evenly spaced quantiles). Earlier looks, which can only add chances, are left out.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from scipy import special

from patchbench.verdicts.looks import Looks
from patchbench.verdicts.rule import SIGNIFICANT

NODES = 200
LARGEST = 2.0  # log ratios: a gain of more than seven times needs no forecast
TINY = 1e-9
Floats = float | np.ndarray


class Design(NamedTuple):
    """Blocks to be judged: how many, by which looks, with which margin (0.01 is 1 %). ``times`` is
    the factor on p that the correction over the whole table is expected to be."""

    blocks: int
    looks: Looks
    margin: float
    confidence: float = 0.95
    times: float = 1.0

    @property
    def reaches(self) -> tuple[float, float]:
        """Return half the width, in standard errors of the mean as estimated, of the interval and
        of the one that lies beside 1 if the test over the table agrees."""
        free, level = self.blocks - 1, self.looks.level(self.blocks, self.confidence)
        needed = SIGNIFICANT / self.times / (self.looks.p(TINY, self.blocks) / TINY)
        interval = float(special.stdtrit(free, (1 + level) / 2))
        return interval, max(interval, float(special.stdtrit(free, 1 - needed / 2)))


class Chances(NamedTuple):
    """Chances of three verdicts; the rest is inconclusive."""

    faster: float
    same: float
    slower: float


def chances(gain: float, sd: float, design: Design) -> Chances:
    """Return the chances of the verdicts on a true gain (0.02 is 2 %). No verdict with fewer than
    two blocks."""
    if design.blocks < 2:
        return Chances(0.0, 0.0, 0.0)
    mean, error = math.log1p(gain), max(sd, TINY) / math.sqrt(design.blocks)
    free, upper = design.blocks - 1, 1 - (np.arange(NODES) + 0.5) / NODES
    spread = np.sqrt(special.chdtri(free, upper) / free) * error
    return Chances(*(float(share.mean()) for share in _verdicts(mean, error, spread, design)))


def _verdicts(
    mean: Floats, error: Floats, spread: Floats, design: Design
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the chances of faster, same and slower if the mean of all blocks is normal around
    ``mean`` with standard deviation ``error``, and its standard error is estimated as
    ``spread``."""
    border, (interval, table) = math.log1p(design.margin), design.reaches
    needed = np.maximum(table * spread, border)
    room = np.maximum(border - interval * spread, 0.0)
    same = special.ndtr((room - mean) / error) - special.ndtr((-room - mean) / error)
    return special.ndtr((mean - needed) / error), same, special.ndtr((-mean - needed) / error)


def visible_gain(sd: float, design: Design, chance: float) -> float | None:
    """Return the smallest gain that is called faster with a chance; None if none up to seven times
    is."""
    low, high = 0.0, math.expm1(LARGEST)
    if chances(high, sd, design).faster < chance:
        return None
    while high - low > 1e-5:
        middle = (low + high) / 2
        if chances(middle, sd, design).faster < chance:
            low = middle
        else:
            high = middle
    return high


def chance_to_decide(mean: Floats, sd: Floats, pairs: int, design: Design) -> np.ndarray:
    """Return the chance that a comparison that is open after ``pairs`` blocks (at least two) has a
    verdict after the design's, if the further blocks have the ``mean`` and the spread (log scale)
    seen so far: the mean of all is normal around the one so far."""
    if design.blocks <= pairs:
        return np.zeros(np.shape(mean))
    sd = np.maximum(sd, TINY)
    error = sd * math.sqrt(1 / pairs - 1 / design.blocks)
    shares = _verdicts(mean, error, sd / math.sqrt(design.blocks), design)
    total: np.ndarray = np.sum(shares, axis=0)
    return total
