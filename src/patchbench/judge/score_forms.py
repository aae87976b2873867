"""Three forms in which servers score tokens, by their age: how each is asked and read.

``prompt_logprobs`` (vLLM from 0.5), ``echo`` with ``logprobs`` (vLLM from 0.2.3, OpenAI's first
API), SGLang's ``/generate`` with ``return_logprob``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple


class ScoreError(Exception):
    """A reply holds no scores: this form isn't offered, or the reply is cut."""


class Form(NamedTuple):
    """One form of scoring: its path, request body and how gaps are read from the reply."""

    path: str
    body: Callable[[str, Sequence[int]], dict[str, Any]]
    gaps: Callable[[Any, Sequence[int], int], list[float]]


def _prompt_logprobs_body(model: str, ids: Sequence[int]) -> dict[str, Any]:
    fields = {"max_tokens": 1, "temperature": 0.0, "prompt_logprobs": 1}
    return {"model": model, "prompt": ids, **fields}


def _prompt_logprobs_gaps(reply: Any, ids: Sequence[int], start: int) -> list[float]:
    """Read vLLM's ``prompt_logprobs``: per place a map of token id to ``{"logprob": ...}``, or to
    the number itself in the first versions."""
    places = reply["choices"][0]["prompt_logprobs"]
    gaps = []
    for token, place in zip(ids[start:], _tail(places, ids, start), strict=True):
        values = {k: _number(v["logprob"] if isinstance(v, dict) else v) for k, v in place.items()}
        gaps.append(max(values.values()) - values[str(token)])
    return gaps


def _echo_body(model: str, ids: Sequence[int]) -> dict[str, Any]:
    fields = {"max_tokens": 1, "temperature": 0.0, "echo": True, "logprobs": 1}
    return {"model": model, "prompt": ids, **fields}


def _echo_gaps(reply: Any, ids: Sequence[int], start: int) -> list[float]:
    """Read OpenAI's ``logprobs`` of an echoed prompt; the token generated at the end is left."""
    logprobs = reply["choices"][0]["logprobs"]
    own = _tail(logprobs["token_logprobs"][: len(ids)], ids, start)
    best = _tail(logprobs["top_logprobs"][: len(ids)], ids, start)
    return [
        max(_number(v), *map(_number, places.values())) - _number(v)
        for v, places in zip(own, best, strict=True)
    ]


def _generate_body(model: str, ids: Sequence[int]) -> dict[str, Any]:
    return {
        "input_ids": ids,
        "sampling_params": {"max_new_tokens": 1, "temperature": 0.0},
        "return_logprob": True,
        "logprob_start_len": 0,
        "top_logprobs_num": 1,
    }


def _generate_gaps(reply: Any, ids: Sequence[int], start: int) -> list[float]:
    """Read SGLang's ``input_token_logprobs`` and ``input_top_logprobs``: entries are
    ``[logprob, token id, text]``; the lists end with the prompt's last token."""
    meta = (reply[0] if isinstance(reply, list) else reply)["meta_info"]
    count = len(ids) - start
    own, best = meta["input_token_logprobs"][-count:], meta["input_top_logprobs"][-count:]
    if [entry[1] for entry in own] != list(ids[start:]):
        raise ScoreError("the reply scores other tokens")
    return [
        max(_number(entry[0]), *(_number(t[0]) for t in top)) - _number(entry[0])
        for entry, top in zip(own, best, strict=True)
    ]


FORMS: dict[str, Form] = {
    "prompt_logprobs": Form("/v1/completions", _prompt_logprobs_body, _prompt_logprobs_gaps),
    "echo": Form("/v1/completions", _echo_body, _echo_gaps),
    "generate": Form("/generate", _generate_body, _generate_gaps),
}


def _tail(places: Sequence[Any], ids: Sequence[int], start: int) -> Sequence[Any]:
    if len(places) != len(ids):
        raise ScoreError(f"{len(places)} places for {len(ids)} tokens")
    return places[start:]


def _number(value: Any) -> float:
    """Return a log probability as a finite number: servers write minus infinity in many ways."""
    number = float(value)
    return max(number, -9999.0) if number == number else -9999.0
