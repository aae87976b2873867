"""Texts of token ids as the baseline writes them, held against an arm's.

A server could stream the right ids and a cheap text. Where the model's tokenizer is at hand, the
audit decodes the ids; here the baseline's own chunks of one id each stand for it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence

from patchbench.judge.findings import FALSE_CLAIM
from patchbench.judge.record import Answer
from patchbench.records import Finding

KNOWN = 0.8  # share of an answer's ids whose text must be known
SAME = 0.6  # share of the expected characters that the text must have
ANSWERS = 0.1  # share of answers with another text


def known_texts(baseline: Iterable[Answer]) -> dict[int, str]:
    """Return the text of each token id that the baseline always writes alike; a part of a character
    has none."""
    texts: dict[int, set[str]] = {}
    for answer in baseline:
        for chunk in answer.chunks():
            if len(chunk.ids) == 1:
                texts.setdefault(chunk.ids[0], set()).add(chunk.text)
    alike = {token: next(iter(seen)) for token, seen in texts.items() if len(seen) == 1}
    return {token: text for token, text in alike.items() if text and "\ufffd" not in text}


def other_texts(arm: Sequence[Answer], baseline: Iterable[Answer]) -> Iterator[Finding]:
    """Yield a fault if answers don't have the text of their ids. Characters are counted, not
    compared in order: servers may hold a text back for a chunk."""
    known = known_texts(baseline)
    shares = {a.index: share for a in arm if (share := same_share(a, known)) is not None}
    other = [index for index, share in shares.items() if share < SAME]
    if other and len(other) >= ANSWERS * len(shares):
        yield Finding(
            cause=FALSE_CLAIM,
            severity="fault",
            request=min(other),
            requests=len(other),
            text=f"{shares[min(other)]:.0%} of the characters that the baseline writes for its "
            "token ids",
        )


def same_share(answer: Answer, known: Mapping[int, str]) -> float | None:
    """Return the share of the expected characters that an answer's text has; None if too few of
    its ids are known."""
    ids = answer.token_ids
    texts = [known[token] for token in ids if token in known]
    if not ids or len(texts) < KNOWN * len(ids):
        return None
    expected = Counter("".join(texts))
    return (expected & Counter(answer.whole_text)).total() / expected.total()
