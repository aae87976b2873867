"""The noise floor: what launches of identical code differ by."""

from __future__ import annotations

import math
from collections.abc import Sequence


def noise_floor(aa_logs: Sequence[float], smallest: float) -> float:
    """The change below which nothing is called different: the 95 % quantile of |A/A log ratio|
    (linear interpolation), at least ``smallest``. Both are changes: 0.02 is 2 %."""
    if not aa_logs:
        return smallest
    ordered = sorted(abs(value) for value in aa_logs)
    place = 0.95 * (len(ordered) - 1)
    low = math.floor(place)
    high = min(low + 1, len(ordered) - 1)
    quantile = ordered[low] + (place - low) * (ordered[high] - ordered[low])
    return max(smallest, math.expm1(quantile))
