"""Causes that the audit's findings (``records.Finding``) name, and its notes, which are none."""

from __future__ import annotations

LESS_WORK, FALSE_CLAIM = "bench.less_work", "bench.false_claim"
NOT_STREAMED, WRONG_LENGTH = "bench.not_streamed", "bench.wrong_length"
FAILED = "bench.requests_failed"
BUNDLED, EMPTY_CHUNKS = "bundled_tokens", "empty_chunks"
