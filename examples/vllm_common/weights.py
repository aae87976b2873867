"""Weights of a Llama, made on the machine that serves it: seeded, in the shape of its config.json.

Values are normal and scaled by 1/sqrt(fan-in), so that activations keep their size from layer to
layer and every earlier token changes the answer. vLLM's own `--load-format dummy` weights are so
small that answers repeat one token whatever the code does. The head is scaled by 3 more, so that
first choices stand out. Queries and keys are not sharpened: then rounding would grow from layer to
layer, and an honest change of kernels would look like an error (docs/judge.md).

PyTorch makes them on a GPU if there is one (16 GB in half a minute), NumPy elsewhere. The same seed
gives the same file on the same machine, not on every machine.
"""

import json
import math
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy

HEAD = 3.0
# Values made at a time, so that a tensor of any size needs 64 MB.
BLOCK = 1 << 24
DTYPES = {"bfloat16": ("BF16", 2), "float32": ("F32", 4)}

Shape = tuple[int, ...]
# The next so many normal values, scaled, as bytes of the file.
Source = Callable[[int, float], bytes]


def tensors(config: dict, sharp: float = 1.0) -> Iterator[tuple[str, Shape, float]]:
    """Yield name, shape and scale of each tensor of a Llama; scale 0 stands for ones. `sharp` is a
    factor of queries and keys."""
    hidden, inner = config["hidden_size"], config["intermediate_size"]
    words, width = config["vocab_size"], config["head_dim"]
    heads = config["num_attention_heads"] * width
    shared = config["num_key_value_heads"] * width
    yield "model.embed_tokens.weight", (words, hidden), 1.0
    for layer in range(config["num_hidden_layers"]):
        stem = f"model.layers.{layer}"
        for name, rows, columns, factor in (
            ("self_attn.q_proj", heads, hidden, sharp),
            ("self_attn.k_proj", shared, hidden, sharp),
            ("self_attn.v_proj", shared, hidden, 1.0),
            ("self_attn.o_proj", hidden, heads, 1.0),
            ("mlp.gate_proj", inner, hidden, 1.0),
            ("mlp.up_proj", inner, hidden, 1.0),
            ("mlp.down_proj", hidden, inner, 1.0),
        ):
            yield f"{stem}.{name}.weight", (rows, columns), factor / math.sqrt(columns)
        yield f"{stem}.input_layernorm.weight", (hidden,), 0.0
        yield f"{stem}.post_attention_layernorm.weight", (hidden,), 0.0
    yield "model.norm.weight", (hidden,), 0.0
    yield "lm_head.weight", (words, hidden), HEAD / math.sqrt(hidden)


def write_weights(folder: Path, seed: int = 1, sharp: float = 1.0) -> int:
    """Write `model.safetensors` beside a config.json and return the number of parameters. Format:
    eight bytes of length, a JSON header with offsets, the data (safetensors). Raises OSError."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    kind, size = DTYPES[config["torch_dtype"]]
    header: dict[str, dict] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name, shape, _ in tensors(config, sharp):
        begin, end = end, end + size * math.prod(shape)
        header[name] = {"dtype": kind, "shape": shape, "data_offsets": [begin, end]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)  # the data begin on a multiple of eight
    values = on_gpu(seed, kind) or on_cpu(seed, kind)
    with (folder / "model.safetensors").open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for _, shape, scale in tensors(config, sharp):
            count = math.prod(shape)
            if not scale:
                file.write(as_bytes(numpy.ones(count, numpy.float32), kind))
                continue
            for done in range(0, count, BLOCK):
                file.write(values(min(BLOCK, count - done), scale))
    return end // size


def on_gpu(seed: int, kind: str) -> Source | None:
    """Return a source of values on the first GPU; None without a GPU or PyTorch."""
    try:
        import torch
    except ImportError:
        return None
    if not torch.cuda.is_available():
        return None
    generator = torch.Generator("cuda").manual_seed(seed)
    dtype, raw = {
        "BF16": (torch.bfloat16, torch.int16),
        "F32": (torch.float32, torch.int32),
    }[kind]

    def values(count: int, scale: float) -> bytes:
        made = torch.randn(count, generator=generator, device="cuda") * scale
        return made.to(dtype).view(raw).cpu().numpy().data

    return values


def on_cpu(seed: int, kind: str) -> Source:
    """Return a source of values by NumPy."""
    generator = numpy.random.default_rng(seed)

    def values(count: int, scale: float) -> bytes:
        made = generator.standard_normal(count, numpy.float32) * numpy.float32(scale)
        return as_bytes(made, kind)

    return values


def as_bytes(values: numpy.ndarray, kind: str) -> bytes:
    """Return float32 values as bytes of the file; to bfloat16 rounded to nearest, ties to even."""
    if kind == "F32":
        return values.astype("<f4").tobytes()
    bits = values.view(numpy.uint32)
    rounded = (bits + numpy.uint32(0x7FFF) + ((bits >> 16) & 1)) >> 16
    return rounded.astype("<u2").tobytes()
