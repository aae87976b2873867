"""The words that a server accepts, found before the first window by a few short requests.

A server of 2023 passes over fields that it doesn't know; vLLM of 2024 refuses the whole request.
Each optional field is therefore tried, first all together, then one by one.
"""

from __future__ import annotations

import asyncio
import http
from collections.abc import Sequence

import msgspec

from patchbench.judge.connection import Address, Reply
from patchbench.judge.connections import Connections
from patchbench.judge.ends import Late, Refused
from patchbench.judge.prompts import Prompt
from patchbench.judge.record import Dialect, OptionalField, ScoringForm, max_bytes
from patchbench.judge.requests import OPTIONAL, completion_body
from patchbench.judge.scoring import offered_form
from patchbench.judge.stream import Completion, read_completion
from patchbench.judge.tokens import Tokenizer
from patchbench.load import Load

TOKENS = 8  # asked for by each of these requests


def find_dialect(
    address: Address, load: Load, prompt: Prompt, tokenizer: Tokenizer | None = None
) -> Dialect:
    """Return the words that a server accepts. ``prompt`` has the load's form. Raises
    Refused with the server's message if it refuses the load itself, Late."""
    return asyncio.run(_Finder(address, load, prompt, tokenizer).find())


class _Finder:
    def __init__(
        self, address: Address, load: Load, prompt: Prompt, tokenizer: Tokenizer | None
    ) -> None:
        self.connections = Connections(address)
        self.load = load
        self.prompt = msgspec.structs.replace(prompt, output_tokens=TOKENS)
        self.tokenizer = tokenizer

    async def find(self) -> Dialect:
        """Return the words that the server accepts."""
        try:
            fields, reply = await self._fields()
            dialect = Dialect(ids_prompt=self.load.form == "ids", fields=fields)
            answer = read_completion(reply.pieces, 4096)
            return msgspec.structs.replace(
                dialect,
                ids_stream=answer.has_ids,
                usage_chunk=answer.claim_output is not None,
                scoring=await self._scoring(answer),
            )
        finally:
            self.connections.close()

    async def _fields(self) -> tuple[tuple[OptionalField, ...], Reply]:
        """Return the optional fields that are accepted, and the reply to a request with them."""
        everything = tuple(OPTIONAL)
        if (reply := await self._try(everything)).status == http.HTTPStatus.OK:
            return everything, reply
        bare = await self._try(())
        if bare.status != http.HTTPStatus.OK:
            words = bare.error or bare.body[:500].decode(errors="replace")
            status = f"HTTP {bare.status}: " if bare.status else ""
            raise Refused(
                f"the server refuses the load's request | {status}{words} | "
                f"next: check model, form ({self.load.form}) and sampling of the load"
            )
        replies = [(name, await self._try((name,))) for name in everything]
        fields = tuple(name for name, reply in replies if reply.status == http.HTTPStatus.OK)
        return fields, await self._try(fields)

    async def _try(self, fields: Sequence[OptionalField]) -> Reply:
        dialect = Dialect(fields=tuple(fields))
        body = completion_body(self.load, dialect, self.prompt)
        request = self.connections.address.post(self.load.path, body)
        allowed = max_bytes(TOKENS, len(request))
        limit = self.load.request_limit
        reply = await self.connections.send(request, allowed, limit)
        if reply.error == "timeout":
            raise Late(f"no end of an answer of {TOKENS} tokens within {limit:g} s")
        return reply

    async def _scoring(self, answer: Completion) -> ScoringForm:
        ids = [i for some in answer.ids for i in some]
        if not ids and self.tokenizer is not None:
            ids = self.tokenizer.encode("".join(answer.text))
        content = self.prompt.content
        if isinstance(content, str):
            content = tuple(self.tokenizer.encode(content)) if self.tokenizer else ()
        if not content:
            return "none"
        # without ids the prompt's own last tokens show as well which form is offered
        start = len(content) if ids else max(1, len(content) - TOKENS)
        model = self.load.model
        return await offered_form(self.connections, model, [*content, *ids], start)
