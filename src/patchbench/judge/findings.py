"""Findings of an audit and the causes that they name."""

from __future__ import annotations

from typing import Literal

from patchbench.records import Record

LESS_WORK, FALSE_CLAIM = "bench.less_work", "bench.false_claim"
NOT_STREAMED, WRONG_LENGTH = "bench.not_streamed", "bench.wrong_length"
FAILED = "bench.requests_failed"
BUNDLED, EMPTY_CHUNKS = "bench.bundled_tokens", "bench.empty_chunks"

Severity = Literal["fault", "note"]


class Finding(Record, frozen=True, kw_only=True):
    """One thing that the audit found: the first request that shows it, how many do. A ``fault``
    makes the window not count; a ``note`` is made worthless by the metrics, or is honest."""

    cause: str
    severity: Severity
    request: int | None
    requests: int
    text: str
