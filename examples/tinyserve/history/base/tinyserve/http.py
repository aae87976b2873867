"""As much of HTTP/1.1 as an inference server needs."""

import asyncio
import json
from dataclasses import dataclass

REASONS = {200: "OK", 400: "Bad Request", 404: "Not Found", 405: "Method Not Allowed"}
MAX_BODY_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True)
class HttpRequest:
    """One parsed request."""

    method: str
    path: str
    headers: dict[str, str]  # lower-case names
    body: bytes

    @property
    def keep_alive(self) -> bool:
        return self.headers.get("connection", "").lower() != "close"


async def read_request(reader: asyncio.StreamReader) -> HttpRequest | None:
    """The next request on a connection; None when the peer has closed it."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
    request_line, *lines = head.decode("latin-1").split("\r\n")
    try:
        method, path, _ = request_line.split(" ", 2)
        headers = {}
        for line in filter(None, lines):
            name, value = line.split(":", 1)
            headers[name.strip().lower()] = value.strip()
        length = int(headers.get("content-length", "0"))
    except ValueError:
        raise ValueError("malformed HTTP request") from None
    if not 0 <= length <= MAX_BODY_BYTES:
        raise ValueError(f"body of {length} bytes is too large")
    body = await reader.readexactly(length) if length else b""
    return HttpRequest(method, path.split("?", 1)[0], headers, body)


def response(status: int, data: dict) -> bytes:
    """A complete JSON response."""
    body = json.dumps(data).encode()
    head = (
        f"HTTP/1.1 {status} {REASONS[status]}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def error(status: int, message: str) -> bytes:
    """An OpenAI-style error response."""
    return response(status, {"error": {"message": message, "type": "invalid_request_error"}})


EVENT_STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
    b"Cache-Control: no-cache\r\nTransfer-Encoding: chunked\r\n\r\n"
)
LAST_CHUNK = b"0\r\n\r\n"


def body_chunk(data: bytes) -> bytes:
    """`data` as one piece of a chunked body."""
    return b"%x\r\n%b\r\n" % (len(data), data)
