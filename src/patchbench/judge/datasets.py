"""Prompts from a file, checked against the checksum that the load names."""

from __future__ import annotations

import hashlib
from pathlib import Path

import msgspec

from patchbench.errors import BadInput
from patchbench.load import DataSet


class Entry(msgspec.Struct, frozen=True):
    """One prompt of a file: text or token ids, and the output's length if the file names it."""

    prompt: str | tuple[int, ...]
    output_tokens: int | None = None


class _Turn(msgspec.Struct):
    value: str = ""


class _Conversation(msgspec.Struct):
    conversations: list[_Turn] = []


def read_entries(data: DataSet) -> list[Entry]:
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
    return usable


def _sharegpt(content: bytes) -> list[Entry]:
    """First turns of conversations that have an answer, as vLLM's ShareGPT sampler takes them."""
    talks = msgspec.json.decode(content, type=list[_Conversation])
    return [Entry(t.conversations[0].value) for t in talks if len(t.conversations) >= 2]


def _lines(content: bytes) -> list[Entry]:
    return [msgspec.json.decode(line, type=Entry) for line in content.splitlines() if line.strip()]
