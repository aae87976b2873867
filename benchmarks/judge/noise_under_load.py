"""A hostile logits processor for vLLM's engine: right alone, wrong while several requests run."""

from __future__ import annotations

from typing import Any

import torch
from vllm.v1.sample.logits_processor import LogitsProcessor


class NoiseUnderLoad(LogitsProcessor):
    """Adds noise to every second row of a batch of more than two requests."""

    def __init__(self, vllm_config: Any, device: torch.device, is_pin_memory: bool) -> None:
        pass

    def is_argmax_invariant(self) -> bool:
        return False

    def update_state(self, batch_update: Any) -> None:
        pass

    def apply(self, logits: torch.Tensor) -> torch.Tensor:
        if logits.shape[0] > 2:
            logits[::2] += torch.randn_like(logits[::2]) * logits.std()
        return logits
