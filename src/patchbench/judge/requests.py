"""Bodies of completion requests, in the words that a server accepts."""

from __future__ import annotations

from typing import Any

import msgspec

from patchbench.judge.prompts import Prompt
from patchbench.judge.record import Dialect, OptionalField
from patchbench.load import Load, Sampling

# Fields beyond OpenAI's first API, and the value that asks for what the judge needs. Servers of
# 2023 pass over what they don't know; vLLM of 2024 answers 400.
OPTIONAL: dict[OptionalField, Any] = {
    "stream_options": {"include_usage": True},
    "return_token_ids": True,
}


def sampling_fields(sampling: Sampling) -> dict[str, Any]:
    """Return the fields of the sampling parameters that differ from the API's defaults.
    Temperature always stands there: its default is 1."""
    fields: dict[str, Any] = {"temperature": sampling.temperature}
    default = Sampling()
    for name in ("top_p", "top_k", "ignore_eos", "min_tokens"):
        if (value := getattr(sampling, name)) != getattr(default, name):
            fields[name] = value
    return fields | sampling.extra


def completion_body(load: Load, dialect: Dialect, prompt: Prompt) -> bytes:
    """Return the JSON body of one streamed completion."""
    fields: dict[str, Any] = {
        "model": load.model,
        "prompt": prompt.content,
        "max_tokens": prompt.output_tokens,
        "stream": True,
        **sampling_fields(load.sampling),
    }
    for name in dialect.fields:
        fields[name] = OPTIONAL[name]
    return msgspec.json.encode(fields)
