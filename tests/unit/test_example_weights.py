"""Weights of the vLLM examples: the same for the same seed, of a size that keeps answers varied."""

from __future__ import annotations

import json
import math
import struct
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy
import pytest

COMMON = Path(__file__).parents[2] / "examples" / "vllm_common"
CONFIG = {
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "vocab_size": 300,
}


@pytest.fixture
def weights(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(COMMON))
    monkeypatch.delitem(sys.modules, "weights", raising=False)
    import weights  # type: ignore[import-not-found]

    made: ModuleType = weights
    # A GPU's values are others; and a block ends within a tensor.
    monkeypatch.setattr(made, "on_gpu", lambda *_: None)
    monkeypatch.setattr(made, "BLOCK", 1000)
    return made


def written(made: ModuleType, folder: Path, dtype: str, **options: Any) -> bytes:
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps({**CONFIG, "torch_dtype": dtype}))
    made.write_weights(folder, **options)
    return (folder / "model.safetensors").read_bytes()


def read(data: bytes) -> dict[str, numpy.ndarray[Any, Any]]:
    """The tensors of a file in the safetensors format, as float32."""
    size = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8 : 8 + size])
    assert header.pop("__metadata__") == {"format": "pt"}
    found, end = {}, 0
    for name, entry in header.items():
        begin, last = entry["data_offsets"]
        assert begin == end
        raw = numpy.frombuffer(data[8 + size + begin : 8 + size + last], "<u1")
        if entry["dtype"] == "BF16":
            values = (raw.view("<u2").astype(numpy.uint32) << 16).view(numpy.float32)
        else:
            values = raw.view("<f4")
        found[name] = values.reshape(entry["shape"])
        end = last
    assert len(data) == 8 + size + end
    return found


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_seed_gives_the_same_file_and_another_one_another(
    weights: ModuleType, tmp_path: Path, dtype: str
) -> None:
    first, again, other = (
        written(weights, tmp_path / name, dtype, seed=seed)
        for name, seed in (("a", 1), ("b", 1), ("c", 2))
    )
    assert first == again
    assert first != other
    assert len(first) == len(other)


def test_every_tensor_of_a_llama_has_its_shape_and_size(
    weights: ModuleType, tmp_path: Path
) -> None:
    found = read(written(weights, tmp_path / "m", "float32"))
    assert len(found) == 2 * 9 + 3
    layer = "model.layers.1."
    for name, shape, scale in (
        ("model.embed_tokens.weight", (300, 64), 1.0),
        (layer + "self_attn.q_proj.weight", (64, 64), 1 / 8),
        (layer + "self_attn.k_proj.weight", (32, 64), 1 / 8),
        (layer + "mlp.down_proj.weight", (64, 96), 1 / math.sqrt(96)),
        ("lm_head.weight", (300, 64), 3 / 8),
    ):
        assert found[name].shape == shape
        assert float(found[name].std()) == pytest.approx(scale, rel=0.05), name
    assert (found["model.norm.weight"] == 1).all()
    assert (found[layer + "input_layernorm.weight"] == 1).all()


def test_queries_and_keys_alone_are_sharpened_if_wanted(
    weights: ModuleType, tmp_path: Path
) -> None:
    plain = read(written(weights, tmp_path / "plain", "float32"))
    sharp = read(written(weights, tmp_path / "sharp", "float32", sharp=2.0))
    for name, values in plain.items():
        factor = 2 if "q_proj" in name or "k_proj" in name else 1
        assert numpy.allclose(sharp[name], factor * values, rtol=1e-6), name


def test_bfloat16_is_rounded_to_the_nearest(weights: ModuleType, tmp_path: Path) -> None:
    exact = read(written(weights, tmp_path / "exact", "float32"))["lm_head.weight"]
    rounded = read(written(weights, tmp_path / "rounded", "bfloat16"))["lm_head.weight"]
    assert numpy.abs(rounded / exact - 1).max() <= 2.0**-8
    ties = numpy.array([1 + 2**-8, 1 + 3 * 2**-8], numpy.float32)
    assert weights.as_bytes(ties, "BF16") == struct.pack("<2H", 0x3F80, 0x3F82)
