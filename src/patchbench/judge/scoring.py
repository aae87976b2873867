"""Teacher-forced scores: the baseline's server says how likely it would have given an answer.

Each token's gap is the log probability of the server's first choice at that place minus that of
the token, nats: 0 if the token is the first choice. Texts can't be compared under load: an honest
change of batching leaves none of them the same, while the gaps hardly move.

Three forms of scoring, by the age of the server: ``prompt_logprobs`` (vLLM from 0.5), ``echo`` with
``logprobs`` (vLLM from 0.2.3, OpenAI's first API), SGLang's ``/generate`` with ``return_logprob``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from patchbench.judge.connection import Address, Connections
from patchbench.judge.draws import Draws
from patchbench.judge.metrics import is_complete
from patchbench.judge.prompts import Prompt
from patchbench.judge.record import Answer, ScoringForm, Window
from patchbench.judge.tokens import Tokenizer
from patchbench.records import Record

AT_ONCE = 8  # scoring requests under way
MAX_BYTES = 64 << 20  # of one scoring reply


class Score(Record, frozen=True, kw_only=True):
    """The gaps of one answer's tokens, nats; ``distinct`` is how many different tokens it has."""

    index: int
    gaps: tuple[float, ...]
    distinct: int


class Scores(Record, frozen=True, kw_only=True):
    """Scores of a sample of one window's answers; ``unscored`` names answers that the server
    refused to score, with its words."""

    block: int
    window: int
    form: ScoringForm
    scores: tuple[Score, ...] = ()
    unscored: dict[int, str] = {}  # noqa: RUF012 (msgspec copies it)


class ScoreError(Exception):
    """A reply holds no scores: this form isn't offered, or the reply is cut."""


class Form(NamedTuple):
    """One form of scoring: its path, request body and how gaps are read from the reply."""

    path: str
    body: Callable[[str, Sequence[int]], dict[str, Any]]
    gaps: Callable[[Any, Sequence[int], int], list[float]]


# --- forms -----------------------------------------------------------------------------------


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


# --- asking a server -------------------------------------------------------------------------


async def score_tokens(
    connections: Connections,
    form: str,
    model: str,
    ids: Sequence[int],
    start: int,
    limit: float = 120.0,
) -> list[float]:
    """Return the gaps of ``ids`` from place ``start`` on. Raises ScoreError with the reason."""
    path, body, gaps = FORMS[form]
    request = connections.address.post(path, msgspec.json.encode(body(model, ids)))
    reply = await connections.send(request, MAX_BYTES, limit)
    if reply.error or reply.status != 200:
        text = reply.body[:300].decode(errors="replace")
        raise ScoreError(reply.error or f"http_{reply.status}: {text}")
    try:
        return [round(g, 5) for g in gaps(msgspec.json.decode(reply.body), ids, start)]
    except (msgspec.MsgspecError, KeyError, IndexError, TypeError, ValueError, AttributeError) as e:
        raise ScoreError(f"no scores in the reply: {e!r}") from e


async def offered_form(
    connections: Connections, model: str, ids: Sequence[int], start: int
) -> ScoringForm:
    """Return the first form of scoring that a server offers, ``none`` if it offers none."""
    for form in FORMS:
        try:
            await score_tokens(connections, form, model, ids, start)
        except ScoreError:
            continue
        return form  # type: ignore[return-value]
    return "none"


def sample(secret: bytes, block: int, window: int, requests: int, count: int) -> list[int]:
    """Return the indices of the requests whose answers are scored: the same for all arms, known
    to nothing but the secret while the window runs."""
    order = Draws(secret, "sample", block, window).shuffle(range(requests))
    return sorted(order[:count])


def scored_ids(
    prompt: Prompt, answer: Answer, tokenizer: Tokenizer | None
) -> tuple[list[int], int] | None:
    """Return prompt and answer as token ids, and where the answer begins; None if the server
    named no ids and there is no tokenizer."""
    if answer.ids:
        ids = list(answer.token_ids)
    elif tokenizer is not None:
        ids = tokenizer.encode(answer.whole_text)
    else:
        return None
    content = prompt.content
    if isinstance(content, str):
        if tokenizer is None:
            return None
        content = tuple(tokenizer.encode(content))
    return [*content, *ids], len(content)


async def score_window(
    address: Address,
    window: Window,
    prompts: Sequence[Prompt],
    indices: Sequence[int],
    form: ScoringForm,
    tokenizer: Tokenizer | None = None,
) -> Scores:
    """Return the scores that a server gives to some answers of a window. ``prompts`` are those of
    the window, made again from the secret. Incomplete answers are passed over."""
    answers: Mapping[int, Answer] = {a.index: a for a in window.answers if is_complete(a)}
    scores: list[Score] = []
    unscored: dict[int, str] = {}
    connections = Connections(address)
    slots = asyncio.Semaphore(AT_ONCE)

    async def one(index: int) -> None:
        pair = scored_ids(prompts[index], answers[index], tokenizer)
        if pair is None:
            unscored[index] = "no token ids, no tokenizer"
            return
        ids, start = pair
        async with slots:
            try:
                gaps = await score_tokens(connections, form, window.workload.model, ids, start)
            except ScoreError as error:
                unscored[index] = str(error)
                return
        scores.append(Score(index=index, gaps=tuple(gaps), distinct=len(set(ids[start:]))))

    if form != "none":
        await asyncio.gather(*(one(i) for i in indices if i in answers))
    connections.close()
    return Scores(
        block=window.block,
        window=window.window,
        form=form,
        scores=tuple(sorted(scores, key=lambda s: s.index)),
        unscored=unscored,
    )
