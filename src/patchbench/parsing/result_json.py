"""Reading metrics from the JSON that a benchmark saved: the tools' own numbers, unrounded."""

from __future__ import annotations

from typing import Any

import msgspec

from patchbench.parsing.names import METRICS, canonical

# Offline throughput saves total tokens only; ``tokens_per_second`` means total tokens.


def read_json(data: bytes) -> dict[str, float] | None:
    """Canonical metrics from a result file (an object, or JSON lines of which the last counts);
    None if it is no such file."""
    loaded = _last_object(data)
    if loaded is None:
        return None
    metrics: dict[str, float] = {}
    for key, value in loaded.items():
        name = canonical(key)
        if name and (number := _number(value)) is not None:
            metrics[name] = number
    percentiles = loaded.get("percentiles")
    if isinstance(percentiles, dict):
        for key, value in percentiles.items():
            name = f"latency_p{key}_s"
            if name in METRICS and (number := _number(value)) is not None:
                metrics[name] = number
    return metrics or None


def _number(value: Any) -> float | None:
    """A JSON number as a float; None for what is none or is beyond a float."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value)
    except OverflowError:
        return None


def _last_object(data: bytes) -> dict[str, Any] | None:
    for text in (data, *reversed(data.splitlines())):
        try:
            loaded = msgspec.json.decode(text)
        except (msgspec.MsgspecError, RecursionError):
            continue
        if isinstance(loaded, dict):
            return loaded
    return None
