"""One streamed completion: the request's due time in, the whole answer out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from patchbench.judge.connection import Reply
from patchbench.judge.connections import Connections
from patchbench.judge.prompts import Prompt
from patchbench.judge.record import Answer, max_bytes, max_chunks
from patchbench.judge.stream import read_completion


@dataclass(frozen=True)
class Request:
    """One request, ready to be sent. ``due`` is nanoseconds from the window's begin, None if it
    is due when others have ended."""

    index: int
    prompt: Prompt
    data: bytes
    due: int | None = None


async def send(
    connections: Connections, request: Request, limit: float, on_send: Callable[[], None]
) -> Reply:
    """Send a request and return the reply as it came, within ``limit`` seconds."""
    allowed = max_bytes(request.prompt.output_tokens, len(request.data))
    return await connections.send(request.data, allowed, limit, on_send)


def read_answer(request: Request, reply: Reply, begin: int, due: int) -> Answer:
    """Return the answer that a reply holds. ``begin`` is the window's begin, nanoseconds of the
    monotonic clock; ``due`` is relative to it."""
    limit = request.prompt.output_tokens
    error = reply.error
    completion = read_completion(reply.pieces, max_chunks(limit))
    if not error and reply.status != 200:
        text = reply.body[:300].decode(errors="replace")
        error = f"http_{reply.status}: {text}"
    return Answer(
        index=request.index,
        due_ns=due,
        sent_ns=reply.sent - begin,
        end_ns=reply.end - begin,
        prompt_digest=request.prompt.digest,
        prompt_tokens=request.prompt.tokens,
        output_limit=limit,
        status=reply.status,
        error=error or completion.error,
        at=tuple(at - begin for at in completion.at),
        text=tuple(completion.text),
        ids=tuple(completion.ids) if completion.has_ids else (),
        finish=completion.finish,
        claim_prompt=completion.claim_prompt,
        claim_output=completion.claim_output,
        resent=reply.resent,
    )
