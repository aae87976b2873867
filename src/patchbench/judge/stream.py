"""Server-sent events of a completion, read after the window.

Format: HTML Living Standard, "Server-sent events"; payloads as OpenAI's completions API documents
them, with vLLM's and SGLang's additions. An event has the arrival time of the piece that ends it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import msgspec

DONE = b"[DONE]"


class _Choice(msgspec.Struct):
    text: str | None = None
    token_ids: list[int] | None = None
    finish_reason: str | dict[str, Any] | None = None


class _Usage(msgspec.Struct):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


class _Event(msgspec.Struct):
    choices: list[_Choice] = []
    usage: _Usage | None = None
    error: Any = None
    object: str | None = None
    message: str | None = None


@dataclass
class Completion:
    """The content of a stream: ``at``, ``text``, ``ids`` have an entry per event with a choice."""

    at: list[int] = field(default_factory=list)
    text: list[str] = field(default_factory=list)
    ids: list[tuple[int, ...]] = field(default_factory=list)
    finish: str = ""
    claim_prompt: int | None = None
    claim_output: int | None = None
    done: bool = False
    error: str = ""

    @property
    def has_ids(self) -> bool:
        """True if any event named token ids."""
        return any(self.ids)


def payloads(pieces: Iterable[tuple[int, bytes]]) -> Iterator[tuple[int, bytes]]:
    """Yield the ``data`` of each event with its arrival time."""
    rest = b""
    data: list[bytes] = []
    for at, piece in pieces:
        *lines, rest = (rest + piece).split(b"\n")
        for line in lines:
            line = line.removesuffix(b"\r")
            if line.startswith(b"data:"):
                data.append(line[5:].removeprefix(b" "))
            elif not line and data:
                yield at, b"\n".join(data)
                data = []


_decode = msgspec.json.Decoder(_Event).decode


def read_completion(pieces: Iterable[tuple[int, bytes]], max_chunks: int) -> Completion:
    """Return the content of a stream of events; ``error`` says why it can't be read."""
    result = Completion()
    for at, payload in payloads(pieces):
        if payload.strip() == DONE:
            result.done = True
            continue
        try:
            event = _decode(payload)
        except msgspec.MsgspecError as error:
            result.error = f"bad_event: {error}"
            return result
        if event.error is not None or event.object == "error":
            result.error = f"server_error: {event.error or event.message}"[:500]
            return result
        _take(result, at, event)
        if len(result.at) > max_chunks:
            result.error = "too_long"
            return result
    if not result.done:
        result.error = "no_end"
    return result


def _take(result: Completion, at: int, event: _Event) -> None:
    """Add one event. Several choices in one event (never asked for) count as one chunk."""
    if event.usage is not None:
        result.claim_prompt = event.usage.prompt_tokens
        result.claim_output = event.usage.completion_tokens
    if not event.choices:
        return
    result.at.append(at)
    result.text.append("".join(c.text or "" for c in event.choices))
    result.ids.append(tuple(i for c in event.choices for i in c.token_ids or ()))
    reason = event.choices[0].finish_reason
    if isinstance(reason, dict):  # SGLang before 0.3 gave an object with a type
        reason = str(reason.get("type", ""))
    result.finish = reason or result.finish
