"""Seeded random weights: every start of a model has the same ones."""

from dataclasses import dataclass

import numpy as np

from tinyserve.config import ModelConfig
from tinyserve.tokenizer import FIRST_PIECE_ID


@dataclass(frozen=True)
class LayerWeights:
    """One transformer block; matrices are stored input-major, for `x @ w`."""

    attn_norm: np.ndarray  # [hidden]
    wq: np.ndarray  # [hidden, hidden]
    wk: np.ndarray  # [hidden, hidden]
    wv: np.ndarray  # [hidden, hidden]
    wo: np.ndarray  # [hidden, hidden]
    mlp_norm: np.ndarray  # [hidden]
    w_gate: np.ndarray  # [hidden, mlp]
    w_up: np.ndarray  # [hidden, mlp]
    w_down: np.ndarray  # [mlp, hidden]


@dataclass(frozen=True)
class Weights:
    """All weights of a model, float32."""

    embedding: np.ndarray  # [vocab, hidden]
    layers: list[LayerWeights]
    final_norm: np.ndarray  # [hidden]
    head: np.ndarray  # [hidden, vocab]


def random_weights(config: ModelConfig) -> Weights:
    """Draw the weights of `config` from its seed."""
    rng = np.random.default_rng(config.seed)
    hidden, mlp = config.hidden_size, config.mlp_size

    def matrix(rows: int, columns: int) -> np.ndarray:
        scale = np.float32(rows**-0.5)
        return rng.standard_normal((rows, columns), dtype=np.float32) * scale

    def ones() -> np.ndarray:
        return np.ones(hidden, dtype=np.float32)

    embedding = rng.standard_normal((config.vocab_size, hidden), dtype=np.float32)
    layers = [
        LayerWeights(
            attn_norm=ones(),
            wq=matrix(hidden, hidden) * np.float32(2.0),  # sharper attention: positions matter
            wk=matrix(hidden, hidden),
            wv=matrix(hidden, hidden),
            wo=matrix(hidden, hidden),
            mlp_norm=ones(),
            w_gate=matrix(hidden, mlp),
            w_up=matrix(hidden, mlp),
            w_down=matrix(mlp, hidden) * np.float32(2.0),
        )
        for _ in range(config.num_layers)
    ]
    head = matrix(hidden, config.vocab_size) * np.float32(4.0)
    head[:, :FIRST_PIECE_ID] *= np.float32(0.5)  # answers of words rather than of single bytes
    return Weights(embedding, layers, ones(), head)
