"""The transformer: token ids in, next-token logits out."""

import numpy as np

from tinyserve.config import ModelConfig
from tinyserve.layers import rms_norm, rotary, silu, softmax
from tinyserve.weights import LayerWeights, random_weights


class Model:
    """A decoder-only transformer with rotary attention and a gated MLP."""

    def __init__(self, config: ModelConfig) -> None:
        self.config = config
        self.weights = random_weights(config)

    def forward(self, token_ids: list[int]) -> np.ndarray:
        """Logits [vocab] of the token that follows the sequence `token_ids`."""
        positions = np.arange(len(token_ids))
        x = self.weights.embedding[np.asarray(token_ids)]
        for layer in self.weights.layers:
            x = x + self._attention(rms_norm(x, layer.attn_norm), layer, positions)
            x = x + self._mlp(rms_norm(x, layer.mlp_norm), layer)
        return rms_norm(x[-1], self.weights.final_norm) @ self.weights.head

    def _attention(self, x: np.ndarray, layer: LayerWeights, positions: np.ndarray) -> np.ndarray:
        """Causal self-attention over `x` [tokens, hidden]."""
        tokens, theta = len(x), self.config.rope_theta
        heads = (tokens, self.config.num_heads, self.config.head_dim)
        q = rotary((x @ layer.wq).reshape(heads), positions, theta).swapaxes(0, 1)
        k = rotary((x @ layer.wk).reshape(heads), positions, theta).swapaxes(0, 1)
        v = (x @ layer.wv).reshape(heads).swapaxes(0, 1)
        scores = q @ k.swapaxes(1, 2) * np.float32(self.config.head_dim**-0.5)
        visible = positions[:, None] >= positions[None, :]
        scores = np.where(visible, scores, np.float32(-1e30))
        mixed = (softmax(scores) @ v).swapaxes(0, 1).reshape(tokens, -1)
        return mixed @ layer.wo

    def _mlp(self, x: np.ndarray, layer: LayerWeights) -> np.ndarray:
        """Gated MLP over `x` [tokens, hidden]."""
        return (silu(x @ layer.w_gate) * (x @ layer.w_up)) @ layer.w_down
