"""Connections to one server, used again while they are young."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable

from patchbench.judge.connection import Address, Connection, Reply

# Servers close idle connections after 5 s (uvicorn's default); older ones are not used again.
IDLE_LIMIT = 1_000_000_000


class Connections:
    """Idle connections to one server, and new ones where these are used up."""

    def __init__(self, address: Address) -> None:
        self.address = address
        self._idle: deque[Connection] = deque()

    async def send(
        self,
        request: bytes,
        max_bytes: int,
        limit: float,
        on_send: Callable[[], None] = lambda: None,
    ) -> Reply:
        """Send a request and return its response, after at most ``limit`` seconds. A request on a
        connection that the server had closed meanwhile is sent again once, on a new one."""
        reused = self._take()
        on_send()
        reply = await self._once(reused, request, max_bytes, limit)
        if reused is not None and reply.error.startswith("connection_lost") and not reply.status:
            reply = await self._once(None, request, max_bytes, limit)
            reply.resent = True
        return reply

    async def _once(
        self, connection: Connection | None, request: bytes, max_bytes: int, limit: float
    ) -> Reply:
        try:
            async with asyncio.timeout(limit):
                try:
                    connection = connection or await self._connect()
                except OSError as error:
                    now = time.monotonic_ns()
                    return Reply(sent=now, end=now, error=f"not_connected: {error}")
                reply = await connection.exchange(request, max_bytes)
        except TimeoutError:
            if connection is None:
                now = time.monotonic_ns()
                return Reply(sent=now, end=now, error="timeout")
            return connection.cut("timeout")
        except asyncio.CancelledError:
            if connection is not None:
                connection.abort()
            raise
        if connection.open and not reply.error:
            connection.idle_since = reply.end
            self._idle.append(connection)
        return reply

    async def _connect(self) -> Connection:
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(
            Connection, self.address.host, self.address.port
        )
        return connection

    async def open(self, count: int) -> None:
        """Open connections beforehand, as many as the server takes."""
        opened = await asyncio.gather(
            *(self._connect() for _ in range(count)), return_exceptions=True
        )
        now = time.monotonic_ns()
        for connection in opened:
            if isinstance(connection, Connection):
                connection.idle_since = now
                self._idle.append(connection)

    def _take(self) -> Connection | None:
        young = time.monotonic_ns() - IDLE_LIMIT
        while self._idle:
            connection = self._idle.pop()
            if connection.open and connection.idle_since > young:
                return connection
            connection.abort()
        return None

    def close(self) -> None:
        """Close the idle connections."""
        while self._idle:
            self._idle.pop().abort()
