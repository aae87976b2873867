"""An arm's record beside the baseline's of the same prompts: what only a comparison shows."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from statistics import fmean, median, stdev

from patchbench.judge.findings import (
    BUNDLED,
    FALSE_CLAIM,
    LESS_WORK,
    NOT_STREAMED,
    WRONG_LENGTH,
)
from patchbench.judge.metrics import is_complete
from patchbench.judge.record import Answer, Window
from patchbench.judge.texts import other_texts
from patchbench.judge.tokens import Source, Tokenizer, count_tokens
from patchbench.records import Finding

MIN_TOKENS = 8  # shorter answers say nothing about streaming
BURST_TIME = 0.05  # of the baseline's median time from first to last chunk, and of the answer's own
BURST, NO_BURST = 0.8, 0.5  # share of an answer's tokens within that time
BURST_REQUESTS, BASELINE_BURSTS = 0.1, 0.01  # share of requests
SAME_TOTAL, SURE = 0.97, 4.0  # ratio of totals; standard errors
CLAIM_RATIO = 1.1
# Characters per token, the baseline's over the arm's: of chunks that stand for tokens, and of token
# ids, whose text a server could leave out.
CHARS_RATIO: dict[Source, float] = {"chunks": 1.25, "ids": 2.0}
BUNDLE = 2.0  # tokens per chunk, times the baseline's

Pairs = Sequence[tuple[Answer, Answer]]


def compare_windows(
    arm: Window, baseline: Window, tokenizer: Tokenizer | None = None
) -> list[Finding]:
    """Return the findings of an arm's record beside the baseline's of the same prompts. Raises
    ValueError if the two weren't sent the same prompts."""
    theirs = {a.index: a for a in baseline.answers}
    if any(a.prompt_digest != theirs[a.index].prompt_digest for a in arm.answers):
        raise ValueError("the two windows have different prompts")
    pairs = [
        (a, theirs[a.index]) for a in arm.answers if is_complete(a) and is_complete(theirs[a.index])
    ]
    if not pairs:
        return []
    checks = (_other_totals, _claims_differ, _little_text, _bundles)
    findings = [finding for check in checks for finding in check(pairs, tokenizer)]
    if not any(finding.cause == FALSE_CLAIM for finding in findings):
        findings += other_texts([a for a, _ in pairs], (b for _, b in pairs))
    # what the judge itself was late to read looks like a burst
    stall = max(
        (w.loop_lag_max * 1e6 for window in (arm, baseline) for w in window.watches), default=0
    )
    return findings + list(_late_bursts(pairs, tokenizer, stall))


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


def _little_text(pairs: Pairs, tokenizer: Tokenizer | None) -> Iterator[Finding]:
    """Compare characters per counted token: chunks stand for tokens only while nothing splits
    them, and ids have a text."""
    for source, ratio in CHARS_RATIO.items():
        mine = _characters((a for a, _ in pairs), tokenizer, source)
        base = _characters((b for _, b in pairs), tokenizer, source)
        if mine is not None and base is not None and mine * ratio < base:
            yield Finding(
                cause=FALSE_CLAIM,
                severity="fault",
                request=pairs[0][0].index,
                requests=len(pairs),
                text=f"{mine:.2f} characters per token counted, the baseline has {base:.2f}",
            )


def _characters(
    answers: Iterable[Answer], tokenizer: Tokenizer | None, source: Source
) -> float | None:
    """Return characters per token of answers counted by ``source``; None if there are none."""
    counted = [(a, count_tokens(a, tokenizer)) for a in answers]
    tokens = sum(c.total for _, c in counted if c.source == source)
    characters = sum(len(a.whole_text) for a, c in counted if c.source == source)
    return characters / tokens if tokens else None


def _late_bursts(pairs: Pairs, tokenizer: Tokenizer | None, stall: float) -> Iterator[Finding]:
    """Compare the largest share of an answer that arrives within a twentieth of the baseline's
    streaming time: 1 if everything comes in one burst. What was held back also comes within a
    twentieth of the time that its own request took; an arm that is twenty times as fast, or beside
    a baseline that the machine slowed down, does not. Nothing is said if the judge's longest
    ``stall``, nanoseconds, is half of the baseline's time."""
    long = [(a, b) for a, b in pairs if count_tokens(b, tokenizer).total >= MIN_TOKENS]
    spans = [_span(b) for _, b in long]
    if not spans or median(spans) <= 2 * stall:
        return
    within = median(spans) * BURST_TIME
    own = {a.index: burst_share(a, min(within, BURST_TIME * _duration(a))) for a, _ in long}
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


def _duration(answer: Answer) -> int:
    return list(answer.chunks())[-1].at - answer.sent_ns


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
