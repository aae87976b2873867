"""Log probabilities of a prompt's own tokens, from one causal pass over all of it.

The response has the form of vLLM's `prompt_logprobs`: per place a map of token ids, the prompt's own
and the likeliest ones; none for the first place.
"""

import numpy as np

from tinyserve.config import ModelConfig
from tinyserve.layers import rms_norm, rotary, silu, softmax
from tinyserve.tokenizer import Tokenizer
from tinyserve.weights import Weights


def prompt_logits(weights: Weights, config: ModelConfig, token_ids: list[int]) -> np.ndarray:
    """Logits [tokens, vocab] of the token after each place of `token_ids`."""
    positions = np.arange(len(token_ids))
    heads = (len(token_ids), config.num_heads, config.head_dim)
    x = weights.embedding[np.asarray(token_ids)]
    for layer in weights.layers:
        h = rms_norm(x, layer.attn_norm)
        q = rotary((h @ layer.wq).reshape(heads), positions, config.rope_theta).swapaxes(0, 1)
        k = rotary((h @ layer.wk).reshape(heads), positions, config.rope_theta).swapaxes(0, 1)
        v = (h @ layer.wv).reshape(heads).swapaxes(0, 1)
        scores = q @ k.swapaxes(1, 2) * np.float32(config.head_dim**-0.5)
        scores[:, positions[:, None] < positions[None, :]] = -1e30
        x = x + (softmax(scores) @ v).swapaxes(0, 1).reshape(len(x), -1) @ layer.wo
        h = rms_norm(x, layer.mlp_norm)
        x = x + (silu(h @ layer.w_gate) * (h @ layer.w_up)) @ layer.w_down
    return rms_norm(x, weights.final_norm) @ weights.head


def prompt_logprobs(
    logits: np.ndarray, token_ids: list[int], top: int, tokenizer: Tokenizer
) -> list[dict | None]:
    """For each place but the first: rank and log probability of its token and of the `top` ones."""
    peak = logits.max(axis=-1, keepdims=True).astype(np.float64)
    logprobs = logits - peak - np.log(np.exp(logits - peak).sum(axis=-1, keepdims=True))
    places: list[dict | None] = [None]
    for row, token_id in zip(logprobs[:-1], token_ids[1:], strict=True):
        likeliest = np.argpartition(row, -top)[-top:] if top else []
        places.append(
            {
                str(each): {
                    "logprob": float(row[each]),
                    "rank": int((row > row[each]).sum()) + 1,
                    "decoded_token": tokenizer.piece(each),
                }
                for each in (token_id, *map(int, likeliest))
            }
        )
    return places
