"""Model dimensions, engine options and per-request sampling parameters."""

from dataclasses import dataclass

VOCAB_SIZE = 2048


@dataclass(frozen=True)
class ModelConfig:
    """Dimensions of a decoder-only transformer."""

    name: str
    num_layers: int
    hidden_size: int
    num_heads: int
    mlp_size: int
    max_model_len: int = 512
    vocab_size: int = VOCAB_SIZE
    rope_theta: float = 10000.0
    seed: int = 20240117

    @property
    def head_dim(self) -> int:
        return self.hidden_size // self.num_heads


MODELS = {
    config.name: config
    for config in (
        ModelConfig("tiny", num_layers=4, hidden_size=128, num_heads=4, mlp_size=352),
        ModelConfig("small", num_layers=6, hidden_size=192, num_heads=6, mlp_size=512),
    )
}


@dataclass(frozen=True)
class EngineConfig:
    """What the engine is started with."""

    model: str = "tiny"
    max_num_seqs: int = 8
    dtype: str = "float32"

    def model_config(self) -> ModelConfig:
        if self.model not in MODELS:
            raise ValueError(f"unknown model {self.model!r} (known: {', '.join(sorted(MODELS))})")
        if self.dtype != "float32":
            raise ValueError(f"dtype {self.dtype!r} is not supported (only float32)")
        return MODELS[self.model]


@dataclass(frozen=True)
class SamplingParams:
    """How one request wants its tokens chosen; temperature 0 is greedy."""

    max_tokens: int = 16
    temperature: float = 0.0
    ignore_eos: bool = False
    seed: int = 0
