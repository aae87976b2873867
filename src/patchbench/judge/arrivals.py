"""Due times of a window's requests."""

from __future__ import annotations

import math

from patchbench.judge.draws import Draws
from patchbench.load import AllAtOnce, FixedRate, Poisson, Shape

SECOND = 1_000_000_000  # nanoseconds


def due_times(shape: Shape, secret: bytes, block: int, window: int) -> list[int] | None:
    """Return when each request is due, nanoseconds from the window's begin; None for shapes in
    which a request is due as soon as others have ended."""
    if isinstance(shape, AllAtOnce):
        return [0] * shape.requests
    if isinstance(shape, FixedRate):
        return [round(i * SECOND / shape.rate) for i in range(shape.requests)]
    if isinstance(shape, Poisson):
        return _poisson(shape, Draws(secret, "arrivals", block, window))
    return None


def _poisson(shape: Poisson, draws: Draws) -> list[int]:
    """Sum exponential gaps, -ln(1 - u), then scale them so that the mean gap is 1 / rate."""
    gaps = [-math.log1p(-draws.unit()) for _ in range(shape.requests)]
    scale = shape.requests / shape.rate / math.fsum(gaps) * SECOND
    total, times = 0.0, []
    for gap in gaps:
        times.append(round(total * scale))
        total += gap
    return times
