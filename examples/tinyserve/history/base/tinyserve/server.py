"""The OpenAI-style HTTP server."""

import argparse
import asyncio
import logging
import time

from tinyserve import http, protocol
from tinyserve.async_engine import AsyncEngine
from tinyserve.config import MODELS, EngineConfig
from tinyserve.engine import Engine
from tinyserve.sampler import sample
from tinyserve.scoring import prompt_logits, prompt_logprobs
from tinyserve.tokenizer import EOS_ID

log = logging.getLogger("tinyserve.server")


class Server:
    """Routes requests to the engine."""

    def __init__(self, engine: AsyncEngine, model: str) -> None:
        self.engine = engine
        self.model = model
        self.tokenizer = engine.engine.tokenizer

    async def serve_connection(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Answer the requests of one connection until it closes."""
        try:
            while (request := await http.read_request(reader)) is not None:
                await self._dispatch(request, writer)
                await writer.drain()
                if not request.keep_alive:
                    break
        except ValueError as error:
            writer.write(http.error(400, str(error)))
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the client went away
        finally:
            writer.close()

    async def _dispatch(self, request: http.HttpRequest, writer: asyncio.StreamWriter) -> None:
        route = (request.method, request.path)
        if route == ("GET", "/health"):
            writer.write(http.response(200, {"status": "ok"}))
        elif route == ("GET", "/v1/models"):
            model = {"id": self.model, "object": "model", "owned_by": "tinyserve"}
            writer.write(http.response(200, {"object": "list", "data": [model]}))
        elif route == ("POST", "/v1/completions"):
            await self._completions(request.body, writer)
        else:
            writer.write(http.error(404, f"no route {request.method} {request.path}"))

    async def _completions(self, body: bytes, writer: asyncio.StreamWriter) -> None:
        try:
            asked = protocol.parse_completion(body, self.tokenizer)
            if asked.prompt_logprobs is not None:
                writer.write(http.response(200, self._scored(asked)))
                return
            request = self.engine.submit(asked.prompt_ids, asked.params)
        except ValueError as error:
            writer.write(http.error(400, str(error)))
            return
        with_ids = asked.return_token_ids
        if not asked.stream:
            async for _ in self.engine.tokens(request):
                pass
            answer = protocol.completion(request, self.model, self.tokenizer, with_ids)
            writer.write(http.response(200, answer))
            return
        writer.write(http.EVENT_STREAM_HEAD)
        async for generated in self.engine.tokens(request):
            chunk = protocol.stream_chunk(request, generated, self.model, self.tokenizer, with_ids)
            writer.write(http.body_chunk(chunk))
            await writer.drain()
        if asked.include_usage:
            writer.write(http.body_chunk(protocol.usage_chunk(request, self.model)))
        writer.write(http.body_chunk(b"data: [DONE]\n\n") + http.LAST_CHUNK)

    def _scored(self, asked: protocol.Completion) -> dict:
        """The response to a request for its prompt's log probabilities, computed at once."""
        engine = self.engine.engine
        request = engine.make_request(asked.prompt_ids, asked.params)
        logits = prompt_logits(engine.model.weights, engine.model_config, request.prompt_ids)
        request.accept(sample(logits[-1], request.params.temperature, request.rng), EOS_ID)
        answer = protocol.completion(request, self.model, self.tokenizer, asked.return_token_ids)
        places = prompt_logprobs(logits, request.prompt_ids, asked.prompt_logprobs, self.tokenizer)
        answer["choices"][0]["prompt_logprobs"] = places
        return answer


async def serve(config: EngineConfig, host: str, port: int) -> None:
    """Load the model, listen, and run until the process is killed."""
    start = time.perf_counter()
    engine = AsyncEngine(Engine(config))
    log.info("model %s loaded in %.3f s", config.model, time.perf_counter() - start)
    server = Server(engine, config.model)
    listener = await asyncio.start_server(server.serve_connection, host, port)
    log.info("listening on http://%s:%d (max_num_seqs %d)", host, port, config.max_num_seqs)
    async with listener:
        await engine.run()


def main() -> None:
    parser = argparse.ArgumentParser(prog="tinyserve", description=__doc__)
    parser.add_argument("--model", default="tiny", choices=sorted(MODELS))
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--max-num-seqs", type=int, default=8, help="requests run at once")
    parser.add_argument("--dtype", default="float32", choices=["float32"])
    args = parser.parse_args()
    logging.basicConfig(
        level=logging.INFO, format="%(levelname)s %(asctime)s [%(name)s] %(message)s"
    )
    config = EngineConfig(model=args.model, max_num_seqs=args.max_num_seqs, dtype=args.dtype)
    asyncio.run(serve(config, args.host, args.port))
