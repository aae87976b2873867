"""A minimal asyncio HTTP client for streamed completions."""

import asyncio
import json
import traceback
from dataclasses import dataclass, field
from time import perf_counter
from urllib.parse import urlsplit


@dataclass
class RequestResult:
    """What one request measured; all times in seconds."""

    prompt_len: int = 0
    output_len: int = 0
    success: bool = False
    start_time: float = 0.0
    queue_time: float = 0.0  # waiting for the client's own concurrency limit
    ttft: float = 0.0
    latency: float = 0.0
    itl: list[float] = field(default_factory=list)
    text: str = ""
    error: str = ""


class Client:
    """Sends completions to one endpoint over a pool of keep-alive connections."""

    def __init__(self, base_url: str, endpoint: str) -> None:
        url = urlsplit(base_url)
        self.host, self.port = url.hostname or "127.0.0.1", url.port or 80
        self.path = url.path.rstrip("/") + endpoint
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def complete(self, prompt: list[int], payload: dict) -> RequestResult:
        """Stream one completion. Never raises: a failure is in the result's `error`."""
        result = RequestResult(prompt_len=len(prompt), start_time=perf_counter())
        try:
            if self._idle:
                reader, writer = self._idle.pop()
            else:
                reader, writer = await asyncio.open_connection(self.host, self.port)
            try:
                await self._stream(reader, writer, {"prompt": prompt, **payload}, result)
            except BaseException:
                writer.close()
                raise
            self._idle.append((reader, writer))
        except Exception:
            result.success = False
            result.error = traceback.format_exc()
        return result

    async def _stream(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        payload: dict,
        result: RequestResult,
    ) -> None:
        body = json.dumps(payload).encode()
        head = (
            f"POST {self.path} HTTP/1.1\r\nHost: {self.host}:{self.port}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        result.start_time = last = perf_counter()
        writer.write(head.encode() + body)
        status, headers = await _read_head(reader)
        if status != 200 or b"chunked" not in headers.get(b"transfer-encoding", b""):
            text = await reader.readexactly(int(headers.get(b"content-length", b"0")))
            raise RuntimeError(f"HTTP {status}: {text.decode(errors='replace')}")
        done, pending, texts, chunks = False, b"", [], 0
        while size := int(await reader.readuntil(b"\r\n"), 16):
            pending += (await reader.readexactly(size + 2))[:-2]
            while b"\n\n" in pending:
                event, pending = pending.split(b"\n\n", 1)
                data = event.removeprefix(b"data: ")
                if data == b"[DONE]":
                    done = True
                    continue
                now = perf_counter()
                chunk = json.loads(data)
                if chunk["choices"]:
                    chunks += 1
                    texts.append(chunk["choices"][0]["text"])
                    if chunks == 1:
                        result.ttft = now - result.start_time
                    else:
                        result.itl.append(now - last)
                    last = now
                elif chunk.get("usage"):
                    result.output_len = chunk["usage"]["completion_tokens"]
        await reader.readuntil(b"\r\n")  # the blank line after the last chunk
        if not done or not chunks:
            raise RuntimeError("the stream ended before [DONE]")
        result.latency = last - result.start_time
        result.text = "".join(texts)
        result.output_len = result.output_len or chunks
        result.success = True

    def close(self) -> None:
        """Close the pooled connections."""
        for _, writer in self._idle:
            writer.close()
        self._idle.clear()


async def _read_head(reader: asyncio.StreamReader) -> tuple[int, dict[bytes, bytes]]:
    """Status and headers (lower-case names) of a response."""
    status_line, *lines = (await reader.readuntil(b"\r\n\r\n")).split(b"\r\n")
    headers = {}
    for line in filter(None, lines):
        name, value = line.split(b":", 1)
        headers[name.strip().lower()] = value.strip()
    return int(status_line.split(b" ", 2)[1]), headers
