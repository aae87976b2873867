"""OpenAI-style completion bodies: parsing requests, building responses and stream chunks."""

import json
import time
from dataclasses import dataclass

from tinyserve.config import SamplingParams
from tinyserve.request import Request
from tinyserve.tokenizer import Tokenizer


@dataclass(frozen=True)
class Completion:
    """What one request asks for."""

    prompt_ids: list[int]
    params: SamplingParams
    stream: bool
    include_usage: bool  # an event with token counts before the end of the stream
    return_token_ids: bool
    prompt_logprobs: int | None  # so many likeliest tokens at each place of the prompt


def parse_completion(body: bytes, tokenizer: Tokenizer) -> Completion:
    """The request in a body; ValueError says what is wrong."""
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
        asked = Completion(
            prompt_ids=prompt,
            params=params,
            stream=bool(data.get("stream", False)),
            include_usage=bool((data.get("stream_options") or {}).get("include_usage", False)),
            return_token_ids=bool(data.get("return_token_ids", False)),
            prompt_logprobs=data.get("prompt_logprobs"),
        )
    except (TypeError, AttributeError) as error:
        raise ValueError(f"bad parameter: {error}") from error
    if asked.prompt_logprobs is not None:
        if asked.stream or params.max_tokens != 1:
            raise ValueError("prompt_logprobs is only there with max_tokens 1 and without stream")
        if type(asked.prompt_logprobs) is not int or not 0 <= asked.prompt_logprobs <= 20:
            raise ValueError("prompt_logprobs must be a whole number from 0 to 20")
    return asked


def usage(request: Request) -> dict[str, int]:
    """Token counts of a request."""
    prompt, completion = len(request.prompt_ids), len(request.output_ids)
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
    }


def completion(request: Request, model: str, tokenizer: Tokenizer, with_ids: bool) -> dict:
    """The body of a response that is not streamed."""
    choice = {
        "index": 0,
        "text": tokenizer.decode(request.output_ids),
        "finish_reason": request.finish_reason,
    }
    if with_ids:
        choice |= {"token_ids": request.output_ids, "prompt_token_ids": request.prompt_ids}
    return {
        "id": request.request_id,
        "object": "text_completion",
        "created": int(time.time()),
        "model": model,
        "choices": [choice],
        "usage": usage(request),
    }


def stream_chunk(
    request: Request, generated: int, model: str, tokenizer: Tokenizer, with_ids: bool
) -> bytes:
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
                "token_ids": output_ids[-1:] if with_ids else None,
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
