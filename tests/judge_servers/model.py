"""A language model in ten lines: its first choice follows from the last two tokens."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

FIRST, COUNT = 1000, 9000
SECOND_GAP, OTHER_GAP = 0.05, 6.0  # nats below the first choice
TOP = -0.1  # log probability of the first choice


def first_choice(context: Sequence[int]) -> int:
    """Return the most likely next token."""
    return FIRST + zlib.crc32(repr(tuple(context[-2:])).encode()) % COUNT


def second_choice(context: Sequence[int]) -> int:
    """Return the next token that honest noise may choose instead."""
    return FIRST + (first_choice(context) - FIRST + 1) % COUNT


def logprobs(ids: Sequence[int], place: int) -> dict[int, float]:
    """Return the log probabilities of the first choice and of the token at a place."""
    context, token = ids[:place], ids[place]
    best = first_choice(context)
    if token == best:
        return {best: TOP}
    gap = SECOND_GAP if token == second_choice(context) else OTHER_GAP
    return {best: TOP, token: TOP - gap}


def answer(prompt: Sequence[int], count: int, noise: int = 0, wrong: bool = False) -> list[int]:
    """Return a greedy answer. Of ten tokens one is the second choice, where depends on ``noise``
    (a batch's rounding); a wrong answer has tokens from nowhere in every other place."""
    ids = list(prompt)
    for n in range(count):
        roll = zlib.crc32(f"{noise} {n} {ids[-1]}".encode())
        if wrong and n % 2:
            ids.append(FIRST + roll % COUNT)
        else:
            ids.append(second_choice(ids) if roll % 10 == 0 else first_choice(ids))
    return ids[len(prompt) :]


def text(ids: Sequence[int]) -> str:
    """Return the text of token ids: one word each."""
    return "".join(f" t{i}" for i in ids)


class WordTokenizer:
    """The model's tokenizer: ids of ``text``; other words have ids by checksum."""

    def encode(self, words: str) -> list[int]:
        """Return the token ids of a text."""
        return [
            int(w[1:])
            if w[:1] == "t" and w[1:].isdigit()
            else FIRST + zlib.crc32(w.encode()) % COUNT
            for w in words.split()
        ]

    def count(self, words: str) -> int:
        """Return the number of words."""
        return len(words.split())

    def decode(self, ids: list[int]) -> str:
        """Return the text of token ids."""
        return text(ids)


def _id(word: str) -> int:
    if word[0] == "t" and word[1:].isdigit():
        return int(word[1:])
    return FIRST + zlib.crc32(word.encode()) % COUNT
