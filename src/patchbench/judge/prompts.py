"""Sealed prompts: the same for all arms of a block, others in every block and window.

Only the holder of the block's secret can make them. Its SHA-256 is published before the first
launch, the secret after the last, so that a reader can make them again and compare.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from itertools import islice
from typing import Any

import msgspec

from patchbench.errors import BadInput
from patchbench.judge.datasets import Entries, Entry
from patchbench.judge.draws import Draws
from patchbench.load import (
    DataSet,
    Lengths,
    Load,
    RandomPrompts,
    SharedPrefix,
    request_count,
)
from patchbench.records import Record

SYLLABLES = tuple(a + b for a in "bdfgklmnprstvz" for b in ("a", "e", "i", "o", "u", "an", "or"))


class Prompt(Record, frozen=True, kw_only=True):
    """One prompt: token ids or text, and the length that is asked for, in tokens."""

    content: tuple[int, ...] | str
    output_tokens: int

    @property
    def tokens(self) -> int | None:
        """The prompt's length in tokens, known only if it is given as ids."""
        return None if isinstance(self.content, str) else len(self.content)

    @property
    def digest(self) -> str:
        """The first 16 hex digits of the SHA-256 of the prompt's JSON."""
        return hashlib.sha256(msgspec.json.encode(self.content)).hexdigest()[:16]


def window_prompts(
    load: Load,
    secret: bytes,
    block: int,
    window: int,
    entries: Sequence[Entry] = (),
) -> list[Prompt]:
    """Return the prompts of one window in the order of sending. ``entries`` are those of the data
    set, if the load names one. Raises BadInput if prompts can't have the load's form."""
    count = request_count(load.shape) // load.repeats
    prompts = _distinct(load, secret, block, window, entries, count)
    if load.repeats == 1:
        return prompts
    draws = Draws(secret, "order", block, window)
    return draws.shuffle([p for p in prompts for _ in range(load.repeats)])


def warmup_prompts(
    load: Load, secret: bytes, block: int, entries: Sequence[Entry] = ()
) -> list[Prompt]:
    """Return prompts for requests before the first window; no window sends them."""
    return _distinct(load, secret, block, 0, entries, load.warmup)


def _distinct(
    load: Load,
    secret: bytes,
    block: int,
    window: int,
    entries: Sequence[Entry],
    count: int,
) -> list[Prompt]:
    if not count:
        return []
    source = load.prompts
    draws = Draws(secret, "prompts", block, window)
    if isinstance(source, DataSet):
        return _from_data_set(source, load.form, secret, block, window, entries, count)
    low, high = source.vocabulary.first, source.vocabulary.last
    write = _words if load.form == "text" else _ids
    if isinstance(source, RandomPrompts):
        return [
            Prompt(
                content=write(draws, _length(draws, source.prompt), low, high),
                output_tokens=_length(draws, source.output),
            )
            for _ in range(count)
        ]
    return _with_prefixes(source, load.form, draws, count)


def _length(draws: Draws, lengths: Lengths) -> int:
    ends = lengths.ends
    part = draws.between(1, len(ends) - 1) if lengths.inner else 1
    return draws.between(ends[part - 1], ends[part])


def _ids(draws: Draws, count: int, low: int, high: int) -> tuple[int, ...] | str:
    return draws.ids(count, low, high)


def _words(draws: Draws, count: int, low: int, high: int) -> tuple[int, ...] | str:
    """Return ``count`` words of two syllables each; ids play no part."""
    last = len(SYLLABLES) - 1
    return " ".join(
        SYLLABLES[draws.between(0, last)] + SYLLABLES[draws.between(0, last)] for _ in range(count)
    )


def _with_prefixes(source: SharedPrefix, form: str, draws: Draws, count: int) -> list[Prompt]:
    low, high = source.vocabulary.first, source.vocabulary.last
    write = _words if form == "text" else _ids
    prefixes = [write(draws, source.prefix, low, high) for _ in range(source.prefixes)]
    prompts = []
    for index in range(count):
        prefix = prefixes[index % len(prefixes)]
        suffix = write(draws, _length(draws, source.suffix), low, high)
        content: Any = f"{prefix} {suffix}" if form == "text" else (*prefix, *suffix)
        prompts.append(Prompt(content=content, output_tokens=_length(draws, source.output)))
    return draws.shuffle(prompts)


def _from_data_set(
    source: DataSet,
    form: str,
    secret: bytes,
    block: int,
    window: int,
    entries: Sequence[Entry],
    count: int,
) -> list[Prompt]:
    """Windows take their prompts one after another from the block's shuffled file, so that two
    windows share none until the file has been used up; what comes before all windows takes them
    from its end."""
    if not isinstance(entries, Entries):
        entries = Entries(entries, source)
    write = entries.as_text if form == "text" else entries.as_ids
    order: Sequence[int] = Draws(secret, "data set", block).shuffle(range(len(entries)))
    if window < 0:
        order, window = order[::-1], 0
    start = window * count
    usable = list(islice(filter(None, map(write, order)), start + count))
    if not usable:
        raise BadInput(
            f"{source.path}: no prompt is written as {form} | next: name a tokenizer if its "
            "prompts are texts"
        )
    return [
        Prompt(content=entry.prompt, output_tokens=entry.output_tokens or source.output)
        for entry in (usable[(start + i) % len(usable)] for i in range(count))
    ]
