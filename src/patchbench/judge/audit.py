"""Audit of every request of one record: was the work done, and is what the server says true?

The baseline is audited too: what it shows as well is the task's, not the arm's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Literal

from patchbench.judge.findings import (
    EMPTY_CHUNKS,
    FAILED,
    FALSE_CLAIM,
    LESS_WORK,
    WRONG_LENGTH,
)
from patchbench.judge.metrics import is_complete
from patchbench.judge.record import Answer, Window
from patchbench.judge.tokens import Tokenizer
from patchbench.records import Finding

Severity = Literal["fault", "note"]


def audit_window(window: Window, tokenizer: Tokenizer | None = None) -> list[Finding]:
    """Return the findings of one record by itself."""
    fixed = window.load.sampling.ignore_eos
    complete = [a for a in window.answers if is_complete(a)]
    checks: tuple[tuple[str, Severity, Iterable[Answer], Callable[..., str]], ...]
    checks = (
        (FAILED, "fault", window.answers, _failure),
        (LESS_WORK, "fault", complete, lambda a: _too_short(a, fixed)),
        (WRONG_LENGTH, "fault", complete, _too_long),
        (FALSE_CLAIM, "fault", complete, _false_count),
        (FALSE_CLAIM, "fault", complete, lambda a: _other_text(a, tokenizer)),
        (EMPTY_CHUNKS, "note", complete, _empty_first),
    )
    return [
        finding
        for cause, severity, answers, check in checks
        for finding in _first(cause, severity, answers, check)
    ]


def _first(
    cause: str,
    severity: Severity,
    answers: Iterable[Answer],
    check: Callable[[Answer], str],
) -> Iterator[Finding]:
    """Yield one finding for all answers that a check objects to."""
    shown = [(answer.index, text) for answer in answers if (text := check(answer))]
    if shown:
        index, text = min(shown)
        yield Finding(cause=cause, severity=severity, request=index, requests=len(shown), text=text)


def _failure(answer: Answer) -> str:
    return "" if is_complete(answer) else answer.error or "an answer without a token"


def _too_short(answer: Answer, fixed: bool) -> str:
    """Object to fewer tokens than were ordered, where ids make the count exact."""
    tokens = len(answer.token_ids)
    if not answer.ids or tokens >= answer.output_limit:
        return ""
    if fixed or answer.finish == "length":
        return f"{tokens} tokens of {answer.output_limit}, finish reason {answer.finish or 'none'}"
    return ""


def _too_long(answer: Answer) -> str:
    tokens = len(answer.token_ids)
    if tokens <= answer.output_limit:
        return ""
    return f"{tokens} tokens, {answer.output_limit} were the limit"


def _false_count(answer: Answer) -> str:
    """Object to a claimed count that differs from the ids streamed. One token is let pass where
    the answer ended by itself: servers differ in whether they stream the end token."""
    if answer.claim_output is None or not answer.ids:
        return ""
    tokens = len(answer.token_ids)
    slack = 1 if answer.finish == "stop" else 0
    if abs(answer.claim_output - tokens) <= slack:
        return ""
    return f"usage claims {answer.claim_output} tokens, {tokens} came"


def _other_text(answer: Answer, tokenizer: Tokenizer | None) -> str:
    """Object to ids that aren't the text. Bytes that form no character are left out: servers write
    them in different ways."""
    if tokenizer is None or not answer.ids:
        return ""
    decoded = _plain(tokenizer.decode(list(answer.token_ids)))
    streamed = _plain(answer.whole_text)
    if len(decoded) > 1.5 * len(streamed) + 16 or len(streamed) > 1.5 * len(decoded) + 16:
        return f"the ids are {len(decoded)} characters of text, {len(streamed)} came"
    return ""


def _plain(text: str) -> str:
    return text.replace("\ufffd", "").strip()


def _empty_first(answer: Answer) -> str:
    if not answer.at or answer.text[0] or (answer.ids and answer.ids[0]):
        return ""
    later = next(answer.chunks()).at - answer.at[0]
    return f"the first chunk is empty, the first token came {later / 1e6:.1f} ms after it"
