"""Prompts from a file, checked against the checksum that the load names."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import overload

import msgspec

from patchbench.errors import BadInput
from patchbench.judge.tokens import Tokenizer
from patchbench.load import DataSet


class Entry(msgspec.Struct, frozen=True):
    """One prompt of a file: text or token ids, the output's length if the file names it, and an
    answer that stands beside it."""

    prompt: str | tuple[int, ...]
    output_tokens: int | None = None
    answer: str | None = None


class Entries(Sequence[Entry]):
    """The usable prompts of a file. With a tokenizer, texts can be sent as token ids; each is
    encoded when it is asked for, for a file holds many more than a window needs."""

    def __init__(
        self, entries: Sequence[Entry], data: DataSet, tokenizer: Tokenizer | None = None
    ) -> None:
        self._entries, self._data, self._tokenizer = entries, data, tokenizer
        self._as_ids: dict[int, Entry | None] = {}

    def __len__(self) -> int:
        return len(self._entries)

    @overload
    def __getitem__(self, index: int) -> Entry: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Entry]: ...
    def __getitem__(self, index: int | slice) -> Entry | Sequence[Entry]:
        return self._entries[index]

    def as_text(self, index: int) -> Entry | None:
        """Return an entry with a text prompt and the output's length, None if it has no text."""
        entry = self._entries[index]
        if not isinstance(entry.prompt, str):
            return None
        return Entry(entry.prompt, self._output(entry))

    def as_ids(self, index: int) -> Entry | None:
        """Return an entry with a prompt of token ids and the output's length; None if its lengths
        don't fit, or if it is text and there is no tokenizer."""
        if index not in self._as_ids:
            self._as_ids[index] = self._encoded(self._entries[index])
        return self._as_ids[index]

    def _encoded(self, entry: Entry) -> Entry | None:
        prompt, output = entry.prompt, self._output(entry)
        if isinstance(prompt, str):
            if self._tokenizer is None:
                return None
            prompt = tuple(self._tokenizer.encode(prompt))
        fit = self._data.fit
        fits = (
            fit.prompt.low <= len(prompt) <= fit.prompt.high
            and fit.output.low <= output <= fit.output.high
            and len(prompt) + output <= fit.total
        )
        return Entry(prompt, output) if fits else None

    def _output(self, entry: Entry) -> int:
        """Return the output's length: the load's, the file's, or that of the answer beside it."""
        if self._data.same_output:
            return self._data.output
        if entry.output_tokens is not None:
            return entry.output_tokens
        if entry.answer is not None and self._tokenizer is not None:
            return self._tokenizer.count(entry.answer)
        return self._data.output


class _Turn(msgspec.Struct):
    value: str = ""


class _Conversation(msgspec.Struct):
    conversations: list[_Turn] = []


def read_entries(data: DataSet, tokenizer: Tokenizer | None = None) -> Entries:
    """Return the usable prompts of a file in its order: not empty, within the length limit.
    Raises BadInput if the file is absent, has another checksum or holds no such prompt."""
    path = Path(data.path)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror} | next: put the data set there") from error
    digest = hashlib.sha256(content).hexdigest()
    if digest != data.sha256.lower():
        raise BadInput(
            f"{path}: sha256 is {digest}, the load names {data.sha256} | next: get the data "
            "set that the load was written for"
        )
    try:
        entries = _sharegpt(content) if data.format == "sharegpt" else _lines(content)
    except msgspec.MsgspecError as error:
        raise BadInput(f"{path}: {error} | next: check the format ({data.format})") from error
    usable = [e for e in entries if 0 < len(e.prompt) <= data.max_prompt_chars]
    if not usable:
        raise BadInput(f"{path}: none of {len(entries)} prompts can be used")
    return Entries(usable, data, tokenizer)


def _sharegpt(content: bytes) -> list[Entry]:
    """First turns of conversations that have an answer, as vLLM's ShareGPT sampler takes them."""
    talks = msgspec.json.decode(content, type=list[_Conversation])
    turns = (talk.conversations for talk in talks if len(talk.conversations) >= 2)
    return [Entry(first.value, answer=second.value) for first, second, *_ in turns]


def _lines(content: bytes) -> list[Entry]:
    return [msgspec.json.decode(line, type=Entry) for line in content.splitlines() if line.strip()]
