"""Teacher-forced scores: the baseline's server says how likely it would have given an answer.

Each token's gap is the log probability of the server's first choice at that place minus that of
the token, nats: 0 if the token is the first choice. Texts can't be compared under load: an honest
change of batching leaves none of them the same, while the gaps hardly move.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

import msgspec

from patchbench.judge.connection import Address
from patchbench.judge.connections import Connections
from patchbench.judge.draws import Draws
from patchbench.judge.metrics import is_complete
from patchbench.judge.prompts import Prompt
from patchbench.judge.record import Answer, ScoringForm, Window
from patchbench.judge.score_forms import FORMS, ScoreError
from patchbench.judge.scores import Score, Scores
from patchbench.judge.tokens import Tokenizer

AT_ONCE = 8  # scoring requests under way
MAX_BYTES = 64 << 20  # of one scoring reply


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
    """Return the indices of the requests whose answers are scored: the same for all arms, unknown
    to the server."""
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
                gaps = await score_tokens(connections, form, window.load.model, ids, start)
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
