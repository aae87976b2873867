"""Audit of every request of a window: was the work done, and is what the server says true?

``audit_window`` looks at one record; ``compare_windows`` holds an arm's record against the
baseline's of the same block and window, for what only a comparison shows. A finding is a ``fault``
(the window doesn't count) or a ``note`` (the metrics already make it worthless, or it is honest).
The baseline is audited too: what it shows as well is the task's, not the arm's.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from statistics import fmean, median, stdev
from typing import Literal

from patchbench.judge.metrics import is_complete
from patchbench.judge.record import Answer, Window
from patchbench.judge.tokens import Tokenizer, count_tokens
from patchbench.records import Record

LESS_WORK, FALSE_CLAIM = "bench.less_work", "bench.false_claim"
NOT_STREAMED, WRONG_LENGTH = "bench.not_streamed", "bench.wrong_length"
FAILED = "bench.requests_failed"
BUNDLED, EMPTY_CHUNKS = "bench.bundled_tokens", "bench.empty_chunks"

MIN_TOKENS = 8  # shorter answers say nothing about streaming
BURST_TIME = 0.05  # of the baseline's median time from first to last chunk
BURST, NO_BURST = 0.8, 0.5  # share of an answer's tokens within that time
BURST_REQUESTS, BASELINE_BURSTS = 0.1, 0.01  # share of requests
SAME_TOTAL, SURE = 0.97, 4.0  # ratio of totals; standard errors
CLAIM_RATIO = 1.1
CHARS_RATIO = 1.25
BUNDLE = 2.0  # tokens per chunk, times the baseline's


class Finding(Record, frozen=True, kw_only=True):
    """One thing that the audit found: the first request that shows it, how many do."""

    cause: str
    severity: Literal["fault", "note"]
    request: int | None
    requests: int
    text: str


# --- one record ------------------------------------------------------------------------------


def audit_window(window: Window, tokenizer: Tokenizer | None = None) -> list[Finding]:
    """Return what one record shows by itself."""
    fixed = window.workload.sampling.ignore_eos
    complete = [a for a in window.answers if is_complete(a)]
    checks: tuple[tuple[str, Literal["fault", "note"], Iterable[Answer], Callable[..., str]], ...]
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
    severity: Literal["fault", "note"],
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


# --- two records -----------------------------------------------------------------------------


def compare_windows(
    arm: Window, baseline: Window, tokenizer: Tokenizer | None = None
) -> list[Finding]:
    """Return what an arm's record shows beside the baseline's of the same prompts. Raises
    ValueError if the two weren't sent the same prompts."""
    theirs = {a.index: a for a in baseline.answers}
    if any(a.prompt_digest != theirs[a.index].prompt_digest for a in arm.answers):
        raise ValueError("the two windows have different prompts")
    pairs = [
        (a, theirs[a.index]) for a in arm.answers if is_complete(a) and is_complete(theirs[a.index])
    ]
    if not pairs:
        return []
    checks = (_other_totals, _claims_differ, _split_chunks, _bundles)
    findings = [finding for check in checks for finding in check(pairs, tokenizer)]
    # what the judge itself was late to read looks like a burst
    stall = max(
        (w.loop_lag_max * 1e6 for window in (arm, baseline) for w in window.watches), default=0
    )
    return findings + list(_late_bursts(pairs, tokenizer, stall))


Pairs = Sequence[tuple[Answer, Answer]]


def _other_totals(pairs: Pairs, tokenizer: Tokenizer | None) -> Iterator[Finding]:
    """Compare recounted tokens request by request. Under free lengths, and where text is
    recounted, single answers may differ: the mean difference must be SURE standard errors."""
    mine = [count_tokens(a, tokenizer).total for a, _ in pairs]
    base = [count_tokens(b, tokenizer).total for _, b in pairs]
    differences = [a - b for a, b in zip(mine, base, strict=True)]
    error = stdev(differences) / math.sqrt(len(differences)) if len(differences) > 1 else 0.0
    low, high = sorted((sum(mine), sum(base)))
    if low > SAME_TOTAL * high or abs(fmean(differences)) <= SURE * error:
        return
    sign = 1 if sum(mine) > sum(base) else -1
    worst = max(range(len(pairs)), key=lambda n: sign * differences[n])
    yield Finding(
        cause=WRONG_LENGTH if sign > 0 else LESS_WORK,
        severity="fault",
        request=pairs[worst][0].index,
        requests=sum(sign * d > 0 for d in differences),
        text=f"{sum(mine)} output tokens in all, the baseline has {sum(base)}",
    )


def _claims_differ(pairs: Pairs, tokenizer: Tokenizer | None) -> Iterator[Finding]:
    """Compare claims per recounted token where no ids make the count exact."""
    own = _claim_ratios((a for a, _ in pairs), tokenizer)
    theirs = _claim_ratios((b for _, b in pairs), tokenizer)
    if not own or not theirs:
        return
    mine, base = median(own.values()), median(theirs.values())
    if max(mine, base) > CLAIM_RATIO * min(mine, base):
        yield Finding(
            cause=FALSE_CLAIM,
            severity="fault",
            request=max(own, key=lambda index: own[index]),
            requests=len(own),
            text=f"usage claims {mine:.2f} tokens per token counted, the baseline's {base:.2f}",
        )


def _claim_ratios(answers: Iterable[Answer], tokenizer: Tokenizer | None) -> dict[int, float]:
    return {
        a.index: a.claim_output / count_tokens(a, tokenizer).total
        for a in answers
        if a.claim_output is not None and not a.ids
    }


def _split_chunks(pairs: Pairs, tokenizer: Tokenizer | None) -> Iterator[Finding]:
    """Compare characters per counted token: chunks stand for tokens only while nothing splits
    them."""
    mine = _characters((a for a, _ in pairs), tokenizer)
    base = _characters((b for _, b in pairs), tokenizer)
    if mine * CHARS_RATIO < base:
        yield Finding(
            cause=FALSE_CLAIM,
            severity="fault",
            request=pairs[0][0].index,
            requests=len(pairs),
            text=f"{mine:.2f} characters per token counted, the baseline has {base:.2f}",
        )


def _characters(answers: Iterable[Answer], tokenizer: Tokenizer | None) -> float:
    """Return characters per token of answers counted by chunks; 0 for those counted better."""
    counted = [(a, count_tokens(a, tokenizer)) for a in answers]
    tokens = sum(c.total for _, c in counted if c.source == "chunks")
    characters = sum(len(a.whole_text) for a, c in counted if c.source == "chunks")
    return characters / tokens if tokens else 0.0


def _late_bursts(pairs: Pairs, tokenizer: Tokenizer | None, stall: float) -> Iterator[Finding]:
    """Compare the largest share of an answer that arrives within a twentieth of the baseline's
    streaming time: 1 if everything comes in one burst. Nothing is said if the judge's longest
    ``stall``, nanoseconds, is half of that time."""
    long = [(a, b) for a, b in pairs if count_tokens(b, tokenizer).total >= MIN_TOKENS]
    spans = [_span(b) for _, b in long]
    if not spans or median(spans) <= 2 * stall:
        return
    within = median(spans) * BURST_TIME
    own = {a.index: burst_share(a, within) for a, _ in long}
    theirs = [burst_share(b, within) for _, b in long]
    bursts = [index for index, share in own.items() if share >= BURST]
    quiet = sum(s > NO_BURST for s in theirs) <= BASELINE_BURSTS * len(theirs)
    if quiet and len(bursts) >= max(1, BURST_REQUESTS * len(own)):
        first = min(bursts)
        yield Finding(
            cause=NOT_STREAMED,
            severity="fault",
            request=first,
            requests=len(bursts),
            text=f"{own[first]:.0%} of the answer came within {within / 1e6:.1f} ms, of the "
            f"baseline's {median(theirs):.0%} (median)",
        )


def _span(answer: Answer) -> int:
    chunks = list(answer.chunks())
    return chunks[-1].at - chunks[0].at


def burst_share(answer: Answer, within: float) -> float:
    """Return the largest share of an answer's tokens (characters where no ids came) that arrive
    within so many nanoseconds."""
    chunks = [(c.at, len(c.ids) if answer.ids else len(c.text)) for c in answer.chunks()]
    total = sum(size for _, size in chunks)
    best, inside, start = 0, 0, 0
    for at, size in chunks:
        inside += size
        while at - chunks[start][0] > within:
            inside -= chunks[start][1]
            start += 1
        best = max(best, inside)
    return best / total


def _bundles(pairs: Pairs, tokenizer: Tokenizer | None) -> Iterator[Finding]:
    """Compare tokens per chunk. A note: TPOT counts tokens, and an honest server under load joins
    what it couldn't send in time."""
    own = {a.index: tokens_per_chunk(a, tokenizer) for a, _ in pairs}
    base = median(tokens_per_chunk(b, tokenizer) for _, b in pairs)
    bundled = [index for index, size in own.items() if size >= BUNDLE * base]
    if median(own.values()) >= BUNDLE * base:
        yield Finding(
            cause=BUNDLED,
            severity="note",
            request=min(bundled),
            requests=len(bundled),
            text=f"{median(own.values()):.1f} tokens per chunk, the baseline has {base:.1f}",
        )


def tokens_per_chunk(answer: Answer, tokenizer: Tokenizer | None = None) -> float:
    """Return a complete answer's tokens per chunk; characters per chunk if chunks are all that
    can be counted."""
    chunks = sum(1 for _ in answer.chunks())
    counted = count_tokens(answer, tokenizer)
    total = len(answer.whole_text) if counted.source == "chunks" else counted.total
    return total / chunks
