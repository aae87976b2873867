"""Percentiles without numpy, which the judge's container need not have."""

from __future__ import annotations

from collections.abc import Sequence


def percentile(values: Sequence[float], rank: float) -> float:
    """Return the percentile of sorted values, interpolated linearly between neighbours (Hyndman
    and Fan's type 7, numpy's default). Raises ValueError if there are none."""
    if not values:
        raise ValueError("no values")
    place = (len(values) - 1) * rank / 100
    low = int(place)
    high = min(low + 1, len(values) - 1)
    return values[low] + (values[high] - values[low]) * (place - low)
