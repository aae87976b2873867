"""OpenAI-style completion bodies: parsing requests, building responses and stream chunks."""

import json
import time

from tinyserve.config import SamplingParams
from tinyserve.request import Request
from tinyserve.tokenizer import Tokenizer


def parse_completion(body: bytes, tokenizer: Tokenizer) -> tuple[list[int], SamplingParams, bool]:
    """Prompt ids, sampling parameters and whether to stream; ValueError says what is wrong."""
    data = json.loads(body)
    if not isinstance(data, dict):
        raise ValueError("the body must be a JSON object")
    prompt = data.get("prompt")
    if isinstance(prompt, str):
        prompt = tokenizer.encode(prompt)
    elif not isinstance(prompt, list) or not all(type(item) is int for item in prompt):
        raise ValueError("prompt must be a string or a list of token ids")
    try:
        params = SamplingParams(
            max_tokens=int(data.get("max_tokens", 16)),
            temperature=float(data.get("temperature") or 0.0),
            ignore_eos=bool(data.get("ignore_eos", False)),
            seed=int(data.get("seed") or 0),
        )
    except TypeError as error:
        raise ValueError(f"bad sampling parameter: {error}") from error
    return prompt, params, bool(data.get("stream", False))


def usage(request: Request) -> dict[str, int]:
    """Token counts of a request."""
    prompt, completion = len(request.prompt_ids), len(request.output_ids)
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
    }


def completion(request: Request, model: str, tokenizer: Tokenizer) -> dict:
    """The body of a response that is not streamed."""
    return {
        "id": request.request_id,
        "object": "text_completion",
        "created": int(time.time()),
        "model": model,
        "choices": [
            {
                "index": 0,
                "text": tokenizer.decode(request.output_ids),
                "finish_reason": request.finish_reason,
            }
        ],
        "usage": usage(request),
    }


def stream_chunk(request: Request, generated: int, model: str, tokenizer: Tokenizer) -> bytes:
    """The server-sent event for the token number `generated` of a request."""
    output_ids = request.output_ids[:generated]
    text = tokenizer.decode(output_ids)
    sent = tokenizer.decode(output_ids[:-1])
    finished = request.finish_reason and generated == len(request.output_ids)
    chunk = {
        "id": request.request_id,
        "object": "text_completion",
        "created": int(time.time()),
        "model": model,
        "choices": [
            {
                "index": 0,
                "text": text[len(sent) :],
                "token_ids": output_ids,
                "text_offset": [
                    len(tokenizer.decode(output_ids[:index])) for index in range(generated)
                ],
                "finish_reason": request.finish_reason if finished else None,
            }
        ],
    }
    return event(chunk)


def usage_chunk(request: Request, model: str) -> bytes:
    """The last event before `[DONE]`: no choices, only the token counts."""
    return event(
        {
            "id": request.request_id,
            "object": "text_completion",
            "created": int(time.time()),
            "model": model,
            "choices": [],
            "usage": usage(request),
        }
    )


def event(data: dict) -> bytes:
    """`data` as one server-sent event."""
    return b"data: " + json.dumps(data).encode() + b"\n\n"
