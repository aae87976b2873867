"""Metrics in the JSON that a benchmark saved: the tools' own numbers, not rounded."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, NamedTuple

import msgspec

from patchbench.parsing.names import METRICS, canonical

# A result file with every request in detail has some megabytes; a larger one is no result.
MAX_BYTES = 256 << 20


class Saved(NamedTuple):
    """Contents of a result file: metrics in canonical names, the line of each (1-based), and the
    errors of failed requests. ``clash`` says how two rows of the file differ."""

    metrics: dict[str, float]
    lines: dict[str, int]
    errors: tuple[str, ...] = ()
    clash: str = ""


def read_json(data: bytes) -> Saved | None:
    """Read a result file: an object, or JSON lines, of which the last counts if none differs.
    Returns None if it is no such file."""
    last: Saved | None = None
    clash = ""
    for loaded in _objects(data):
        saved = _saved(loaded, data)
        if saved and last:
            clash = clash or _difference(saved.metrics, last.metrics)
        last = last or saved
    return last._replace(clash=clash) if last else None


def _difference(first: dict[str, float], second: dict[str, float]) -> str:
    """Return in words how two rows differ; empty if they don't."""
    for name in first.keys() | second.keys():
        one, other = first.get(name), second.get(name)
        if one is not None and other is not None and one != other and one == one:
            return f"{name} {one:g}, then {other:g}"
    return ""


def _saved(loaded: dict[str, Any], data: bytes) -> Saved | None:
    # ``total_latency`` is SGLang's offline duration, but the latency of a batch in bench_one_batch.
    offline = "successful_requests" in loaded
    values: dict[str, tuple[str, Any]] = {}
    for key, value in loaded.items():
        if name := "duration_s" if offline and key == "total_latency" else canonical(key):
            values[name] = (key, value)
    percentiles = loaded.get("percentiles")
    if isinstance(percentiles, dict):
        for key, value in percentiles.items():
            if (name := f"latency_p{key}_s") in METRICS:
                values[name] = ("percentiles", value)
    metrics = {
        name: number
        for name, (_, value) in values.items()
        if (number := _number(value)) is not None
    }
    errors = tuple(error for error in _list(loaded.get("errors")) if error)
    if errors:
        metrics.setdefault("failed", float(len(errors)))  # vLLM counts them since 0.11
    keys = {"failed": "errors"} | {name: key for name, (key, _) in values.items()}
    lines = {name: _line(data, keys[name]) for name in metrics}
    return Saved(metrics, lines, errors) if metrics else None


def _line(data: bytes, key: str) -> int:
    return data.count(b"\n", 0, max(0, data.rfind(f'"{key}"'.encode()))) + 1


def _number(value: Any) -> float | None:
    """Return a JSON number as a float, or None if it is no number or too large."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value)
    except OverflowError:
        return None


def _list(value: Any) -> list[str]:
    return [str(item) for item in value if item] if isinstance(value, list) else []


def _objects(data: bytes) -> Iterator[dict[str, Any]]:
    """Yield the object of a file, or those of its lines, the last one first."""
    if data.lstrip()[:1] == b"{" and (loaded := _object(data)) is not None:
        yield loaded
        return
    for text in reversed(data.splitlines()):
        if text.lstrip()[:1] == b"{" and (loaded := _object(text)) is not None:
            yield loaded


def _object(text: bytes) -> dict[str, Any] | None:
    """Decode the metrics and errors of a JSON object, without its arrays of every token's time."""
    try:
        parts = msgspec.json.decode(text, type=dict[str, msgspec.Raw])
        return {key: msgspec.json.decode(part) for key, part in parts.items() if _is_result(key)}
    except (msgspec.MsgspecError, RecursionError):
        # Python writes NaN and Infinity, which only its own reader accepts.
        if b"NaN" not in text and b"Infinity" not in text:
            return None
    with suppress(ValueError, RecursionError):
        loaded = json.loads(text)
        return loaded if isinstance(loaded, dict) else None
    return None


def _is_result(key: str) -> bool:
    return canonical(key) is not None or key in ("percentiles", "errors")
