"""tinyserve: a small LLM inference server."""

from tinyserve.config import MODELS, EngineConfig, ModelConfig, SamplingParams

__version__ = "0.1.0"
__all__ = ["MODELS", "EngineConfig", "ModelConfig", "SamplingParams", "__version__"]
