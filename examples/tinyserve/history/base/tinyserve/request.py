"""The state of one request inside the engine."""

import random
from dataclasses import dataclass, field

from tinyserve.config import SamplingParams


@dataclass(eq=False)
class Request:
    """A prompt, what has been generated for it so far, and why it ended."""

    request_id: str
    prompt_ids: list[int]
    params: SamplingParams
    output_ids: list[int] = field(default_factory=list)
    finish_reason: str | None = None  # "length" or "stop" once it has ended

    def __post_init__(self) -> None:
        self.rng = random.Random(self.params.seed)

    @property
    def token_ids(self) -> list[int]:
        return self.prompt_ids + self.output_ids

    def accept(self, token_id: int, eos_id: int) -> None:
        """Append a generated token and note whether the request has ended."""
        self.output_ids.append(token_id)
        if token_id == eos_id and not self.params.ignore_eos:
            self.finish_reason = "stop"
        elif len(self.output_ids) >= self.params.max_tokens:
            self.finish_reason = "length"
