"""The engine as an asyncio task that feeds one queue per request."""

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Sequence

from tinyserve.config import SamplingParams
from tinyserve.engine import Engine
from tinyserve.request import Request

log = logging.getLogger("tinyserve.engine")


class AsyncEngine:
    """Runs `Engine.step` between the event loop's turns."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._queues: dict[Request, asyncio.Queue[int]] = {}
        self._wake = asyncio.Event()

    def submit(self, prompt_ids: Sequence[int], params: SamplingParams) -> Request:
        """Queue a request (ValueError if it is invalid); read it with `tokens`."""
        request = self.engine.add_request(prompt_ids, params)
        self._queues[request] = asyncio.Queue()
        self._wake.set()
        return request

    async def tokens(self, request: Request) -> AsyncIterator[int]:
        """For each generated token, how many the request has by then (1, 2, ...)."""
        queue = self._queues[request]
        try:
            generated = 0
            while not (request.finish_reason and generated == len(request.output_ids)):
                generated = await queue.get()
                yield generated
        finally:
            self._queues.pop(request, None)
            self.engine.abort(request)

    async def run(self) -> None:
        """Step for ever. A failed step leaves no request in a known state, so the process ends."""
        try:
            while True:
                if not self.engine.has_work():
                    self._wake.clear()
                    await self._wake.wait()
                for request in self.engine.step():
                    if request in self._queues:
                        self._queues[request].put_nowait(len(request.output_ids))
                await asyncio.sleep(0)
        except Exception:
            log.exception("engine loop died")
            os._exit(1)
