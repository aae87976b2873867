"""A completions server of a chosen generation, honest or not, on the loopback.

Documented behaviour that the generations differ in:

- ``vllm-2023`` (0.2): passes over unknown fields, streams text alone, no usage in a stream, scores
  by ``echo`` with ``logprobs``.
- ``vllm-2024`` (0.5): refuses unknown fields with 400, sends a usage chunk if asked, scores by
  ``prompt_logprobs``.
- ``vllm``: streams token ids if asked (and the prompt's in the first chunk), usage, same scores.
- ``sglang``: passes over unknown fields, usage chunk if asked, scores by ``/generate``.

It has its own clock: ``served`` holds when each chunk was written.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.judge_servers import model

KNOWN_2024 = {
    "model", "prompt", "max_tokens", "temperature", "top_p", "top_k", "stream", "stream_options",
    "ignore_eos", "min_tokens", "prompt_logprobs", "echo", "logprobs",
}  # fmt: skip


@dataclass(frozen=True)
class Behaviour:
    """The generation and habits of a server. ``step`` is seconds per token; ``eos`` ends answers
    after so many tokens unless told to go on; ``noise`` is the launch's rounding."""

    engine: str = "vllm"
    step: float = 0.002
    cheat: str = ""
    eos: int = 0
    noise: int = 0
    text_only: bool = False
    idle_close: bool = False


@dataclass
class Served:
    """One streamed request: its body, when it was read, and each chunk's writing (ns, tokens)."""

    body: dict[str, Any]
    read: int
    concurrent: int
    chunks: list[tuple[int, int]] = field(default_factory=list)


class Server:
    """The server: all streams get their tokens in common steps, as from a batching engine."""

    def __init__(self, behaviour: Behaviour) -> None:
        self.behaviour = behaviour
        self.served: list[Served] = []
        self.requests: list[tuple[str, dict[str, Any]]] = []
        self.connections = 0
        self.streams: list[_Stream] = []
        self.port = 0
        self._numbers = itertools.count()

    @property
    def url(self) -> str:
        """Return the base URL."""
        return f"http://127.0.0.1:{self.port}"

    async def run(self, ready: threading.Event | None, stop: asyncio.Event, port: int = 0) -> None:
        """Serve until told to stop."""
        loop = asyncio.get_running_loop()
        listener = await loop.create_server(
            lambda: _Protocol(self), "127.0.0.1", port, backlog=1024
        )
        self.port = listener.sockets[0].getsockname()[1]
        if ready:
            ready.set()
        due = time.monotonic()
        while not stop.is_set():
            due = max(due + self.behaviour.step, time.monotonic() - self.behaviour.step)
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            for stream in list(self.streams):
                stream.step()
        listener.close()

    def refuse(self, path: str, body: dict[str, Any]) -> tuple[int, str] | None:
        """Return status and message of a refusal, None if the request is accepted."""
        engine = self.behaviour.engine
        if path == "/generate" and engine == "sglang":
            return None
        if path != "/v1/completions":
            return 404, "Not Found"
        if engine == "vllm-2024" and (extra := set(body) - KNOWN_2024):
            return 400, f"extra fields not permitted: {sorted(extra)}"
        if isinstance(body["prompt"], list) and self.behaviour.text_only:
            return 422, "prompt: str type expected"
        if self.behaviour.cheat == "error":
            return 500, "Internal Server Error"
        return None

    def prompt_ids(self, body: dict[str, Any]) -> list[int]:
        """Return a request's prompt as ids."""
        prompt = body["prompt"]
        return prompt if isinstance(prompt, list) else model.WordTokenizer().encode(prompt)

    def score(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Return the reply to a request that isn't streamed."""
        if path == "/generate":
            return self._native(body)
        ids = self.prompt_ids(body)
        more = model.answer(ids, body["max_tokens"])
        choice: dict[str, Any] = {"index": 0, "text": model.text(more), "finish_reason": "length"}
        engine = self.behaviour.engine
        if "prompt_logprobs" in body and engine in ("vllm", "vllm-2024"):
            choice["prompt_logprobs"] = [None] + [
                {
                    str(t): {"logprob": p, "rank": 1, "decoded_token": f" t{t}"}
                    for t, p in model.logprobs(ids, n).items()
                }
                for n in range(1, len(ids))
            ]
        if body.get("echo") and body.get("logprobs") and engine in ("vllm", "vllm-2023"):
            whole = ids + more
            places = [model.logprobs(whole, n) for n in range(1, len(whole))]
            choice["logprobs"] = {
                "tokens": [f" t{t}" for t in whole],
                "token_logprobs": [None] + [p[t] for t, p in zip(whole[1:], places, strict=True)],
                "top_logprobs": [None] + [{f" t{t}": v for t, v in p.items()} for p in places],
            }
        return {"id": "cmpl-1", "object": "text_completion", "choices": [choice]}

    def _native(self, body: dict[str, Any]) -> dict[str, Any]:
        ids = body["input_ids"]
        places = [model.logprobs(ids, n) for n in range(1, len(ids))]
        own = [[None, ids[0], None]]
        own += [[p[t], t, None] for t, p in zip(ids[1:], places, strict=True)]
        top = [None] + [[[max(p.values()), max(p, key=lambda t: p[t]), None]] for p in places]
        meta = {"input_token_logprobs": own, "input_top_logprobs": top, "prompt_tokens": len(ids)}
        return {"text": model.text(model.answer(ids, 1)), "meta_info": meta}

    def number(self) -> int:
        """Return the number of the next request."""
        return next(self._numbers)


class _Protocol(asyncio.Protocol):
    """One connection: requests read whole, one at a time."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.rest = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.server.connections += 1
        self.transport: Any = transport

    def connection_lost(self, exc: Exception | None) -> None:
        self.server.streams[:] = [s for s in self.server.streams if s.out is not self]

    def data_received(self, data: bytes) -> None:
        self.rest += data
        head, found, body = self.rest.partition(b"\r\n\r\n")
        if not found:
            return
        lines = head.decode().split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in lines[1:])
        length = int(headers.get("content-length", 0))
        if len(body) < length:
            return
        self.rest = body[length:]
        self.answer(lines[0].split()[1], json.loads(body[:length] or b"{}"))

    def answer(self, path: str, body: dict[str, Any]) -> None:
        if path in ("/health", "/v1/models"):
            self.plain(200, {"object": "list", "data": [{"id": "m", "object": "model"}]})
            return
        self.server.requests.append((path, body))
        if refusal := self.server.refuse(path, body):
            self.plain(refusal[0], {"error": {"message": refusal[1]}})
        elif not body.get("stream"):
            self.plain(200, self.server.score(path, body))
        elif self.server.behaviour.cheat == "not_http":
            self.transport.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n")
        else:
            self.transport.write(
                b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\n"
                b"transfer-encoding: chunked\r\n\r\n"
            )
            self.server.streams.append(_Stream(self.server, self, body))

    def plain(self, status: int, reply: dict[str, Any]) -> None:
        data = json.dumps(reply).encode()
        head = f"HTTP/1.1 {status} X\r\ncontent-type: application/json\r\n"
        self.transport.write(f"{head}content-length: {len(data)}\r\n\r\n".encode() + data)

    def chunk(self, data: bytes) -> None:
        self.transport.write(b"%x\r\n%s\r\n" % (len(data), data))

    def end(self) -> None:
        self.transport.write(b"0\r\n\r\n")
        if self.server.behaviour.idle_close:
            self.transport.close()


class _Stream:
    """One answer under way."""

    def __init__(self, server: Server, out: _Protocol, body: dict[str, Any]) -> None:
        self.server, self.out, self.body = server, out, body
        behaviour = server.behaviour
        self.cheat = behaviour.cheat
        self.prompt = server.prompt_ids(body)
        count = body["max_tokens"]
        self.finish = "length"
        if behaviour.eos and not body.get("ignore_eos"):
            count = min(count, max(behaviour.eos, body.get("min_tokens", 0)))
            self.finish = "length" if count == body["max_tokens"] else "stop"
        self.claim = count
        if self.cheat in ("early_stop", "early_stop_claimed"):
            count = max(1, count // 2)
            self.claim = count if self.cheat == "early_stop" else self.claim
        if self.cheat == "too_long":
            count = self.claim = count * 2
        if self.cheat == "doubled_usage":
            self.claim *= 2
        wrong = self.cheat == "wrong_under_load" and bool(server.streams)
        noise = behaviour.noise * 1_000_003 + server.number()
        self.ids = model.answer(self.prompt, count, noise, wrong)
        self.sent = 0
        self.with_ids = bool(body.get("return_token_ids")) and behaviour.engine == "vllm"
        options = body.get("stream_options") or {}
        self.with_usage = bool(options.get("include_usage")) and behaviour.engine != "vllm-2023"
        self.served = Served(body, time.monotonic_ns(), len(server.streams) + 1)
        server.served.append(self.served)
        if self.cheat == "empty_first":
            self.write([], "")

    def step(self) -> None:
        """Give the stream its next token."""
        if self.cheat == "hang":
            return
        left = len(self.ids) - self.sent
        size = 1
        if self.cheat == "bundled":
            self.held = getattr(self, "held", 0) + 1
            if self.held < min(4, left):
                return
            size, self.held = self.held, 0
        if self.cheat == "late_burst" and self.sent:
            self.held = getattr(self, "held", 0) + 1
            if self.held < left:
                return
            size = left
        if self.cheat == "burst_of_chunks" and self.sent:
            self.held = getattr(self, "held", 0) + 1
            if self.held < left:
                return
            for _ in range(left - 1):
                self.write(self.ids[self.sent : self.sent + 1])
        piece = self.ids[self.sent : self.sent + size]
        if self.cheat == "split":
            whole = model.text(piece)
            self.write([], whole[:2])
            self.write(piece, whole[2:])
        else:
            self.write(piece)
        if self.cheat == "drop" and self.sent > 2:
            self.out.transport.abort()
            self.server.streams.remove(self)
        elif self.sent >= len(self.ids):
            self.close()

    def write(self, ids: list[int], text: str | None = None) -> None:
        """Write one chunk."""
        last = self.sent + len(ids) >= len(self.ids)
        choice: dict[str, Any] = {
            "index": 0,
            "text": model.text(ids) if text is None else text,
            "logprobs": None,
            "finish_reason": self.finish if last else None,
        }
        if self.with_ids:
            choice["token_ids"] = [*ids, *ids] if self.cheat == "false_ids" else ids
            choice["prompt_token_ids"] = None if self.sent else self.prompt
        self.sent += len(ids)
        event = {"id": "cmpl-1", "object": "text_completion", "model": "m", "choices": [choice]}
        self.served.chunks.append((time.monotonic_ns(), len(ids)))
        self.out.chunk(b"data: " + json.dumps(event).encode() + b"\n\n")

    def close(self) -> None:
        """End the stream."""
        self.server.streams.remove(self)
        if self.with_usage:
            usage = {"prompt_tokens": len(self.prompt), "completion_tokens": self.claim}
            event = {"id": "cmpl-1", "object": "text_completion", "choices": [], "usage": usage}
            self.out.chunk(b"data: " + json.dumps(event).encode() + b"\n\n")
        if self.cheat != "no_end":
            self.out.chunk(b"data: [DONE]\n\n")
        self.out.end()


@contextmanager
def serving(behaviour: Behaviour) -> Iterator[Server]:
    """Run a server in a thread of its own."""
    server, ready = Server(behaviour), threading.Event()
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()
    thread = threading.Thread(target=lambda: loop.run_until_complete(server.run(ready, stop)))
    thread.start()
    ready.wait(10)
    try:
        yield server
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(10)
        loop.close()
