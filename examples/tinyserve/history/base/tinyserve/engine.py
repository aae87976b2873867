"""Continuous batching: requests join and leave the running batch between steps."""

from collections import deque
from collections.abc import Sequence
from itertools import count

from tinyserve.config import EngineConfig, SamplingParams
from tinyserve.model import Model
from tinyserve.request import Request
from tinyserve.sampler import sample
from tinyserve.tokenizer import EOS_ID, Tokenizer


class Engine:
    """Owns the model and the requests; `step` gives every running request one more token."""

    def __init__(self, config: EngineConfig) -> None:
        self.config = config
        self.model_config = config.model_config()
        self.tokenizer = Tokenizer()
        self.model = Model(self.model_config)
        self.waiting: deque[Request] = deque()
        self.running: list[Request] = []
        self._ids = count()

    def make_request(self, prompt_ids: Sequence[int], params: SamplingParams) -> Request:
        """A request that is not queued; raises ValueError if it can never be served."""
        prompt_ids = list(prompt_ids)
        if not prompt_ids:
            raise ValueError("the prompt is empty")
        if any(not 0 <= token_id < self.model_config.vocab_size for token_id in prompt_ids):
            raise ValueError("the prompt has token ids outside the vocabulary")
        if params.max_tokens < 1:
            raise ValueError("max_tokens must be at least 1")
        if len(prompt_ids) + params.max_tokens > self.model_config.max_model_len:
            raise ValueError(
                f"prompt of {len(prompt_ids)} tokens plus max_tokens {params.max_tokens} exceeds "
                f"the model's {self.model_config.max_model_len}"
            )
        return Request(f"cmpl-{next(self._ids)}", prompt_ids, params)

    def add_request(self, prompt_ids: Sequence[int], params: SamplingParams) -> Request:
        """Queue a request; raises ValueError if it can never be served."""
        request = self.make_request(prompt_ids, params)
        self.waiting.append(request)
        return request

    def abort(self, request: Request) -> None:
        """Forget a request whose client has gone."""
        if request in self.running:
            self.running.remove(request)
        elif request in self.waiting:
            self.waiting.remove(request)

    def has_work(self) -> bool:
        return bool(self.waiting or self.running)

    def step(self) -> list[Request]:
        """Generate one token for each running request; returns those that got one."""
        while self.waiting and len(self.running) < self.config.max_num_seqs:
            self.running.append(self.waiting.popleft())
        advanced = list(self.running)
        for request in advanced:
            logits = self.model.forward(request.token_ids)
            token_id = sample(logits, request.params.temperature, request.rng)
            request.accept(token_id, EOS_ID)
            if request.finish_reason:
                self.running.remove(request)
        return advanced

    def generate(self, prompts: Sequence[Sequence[int]], params: SamplingParams) -> list[list[int]]:
        """Run `prompts` (token ids) to the end; the generated token ids, in the same order."""
        requests = [self.add_request(prompt, params) for prompt in prompts]
        while self.has_work():
            self.step()
        return [request.output_ids for request in requests]
