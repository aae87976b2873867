#!/usr/bin/env python3
"""Make the model that all tasks run on: a Llama of 8 billion parameters with seeded weights.

    python make_model.py --out DIR

The shape is that of Llama 3.1 8B; 16 GB. How the weights are made, and why they matter:
../vllm_common/weights.py. Needs NumPy; PyTorch, if there is a GPU, makes them there.
"""

import json
import string
import sys
from itertools import product
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "vllm_common"))

import folder
from weights import write_weights

VOCABULARY = 128_256
CONTEXT = 131_072
SPECIAL = ["<unk>", "<s>", "</s>"]
# A space as byte-level tokenizers write it.
SPACE = "\u0120"
LONGEST_WORD = 4

CONFIG = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "head_dim": 128,
    "vocab_size": VOCABULARY,
    "max_position_embeddings": CONTEXT,
    "rms_norm_eps": 1e-5,
    "rope_theta": 500_000.0,
    "hidden_act": "silu",
    "attention_bias": False,
    "tie_word_embeddings": False,
    "torch_dtype": "bfloat16",
    "bos_token_id": 1,
    "eos_token_id": 2,
}


def byte_letters() -> list[str]:
    """The character that stands for each byte in byte-level tokenizers: printable ones for
    themselves, the others from U+0100 on."""
    printable = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = iter(range(0x100, 0x200))
    return [chr(byte) if byte in printable else chr(next(others)) for byte in range(256)]


def vocabulary() -> tuple[list[str], list[tuple[str, str]]]:
    """Tokens and merges: all bytes, and words of up to four letters with a space before them.

    A word grows from its space letter by letter, so that text made of random tokens reads back as
    the same tokens: prompts have the lengths that a benchmark asks for.
    """
    tokens, merges = [*SPECIAL, *byte_letters()], []
    for length in range(1, LONGEST_WORD + 1):
        for word in product(string.ascii_lowercase, repeat=length):
            if len(tokens) == VOCABULARY:
                break
            *head, last = word
            merges.append((SPACE + "".join(head), last))
            tokens.append(SPACE + "".join(word))
    return tokens, merges


def tokenizer() -> dict:
    """The tokenizer in the format of the tokenizers library."""
    tokens, merges = vocabulary()
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True}
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            {"id": number, "content": token, "special": True, **flags}
            for number, token in enumerate(SPECIAL)
        ],
        "normalizer": None,
        "pre_tokenizer": {**byte_level, "use_regex": True},
        "post_processor": None,
        "decoder": {**byte_level, "use_regex": True},
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": False,
            "vocab": {token: number for number, token in enumerate(tokens)},
            "merges": [f"{left} {right}" for left, right in merges],
        },
    }


def files() -> dict[str, dict]:
    """The model's files by name."""
    return {
        "config.json": CONFIG,
        "generation_config.json": {"bos_token_id": 1, "eos_token_id": 2},
        "tokenizer.json": tokenizer(),
        "tokenizer_config.json": {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "unk_token": SPECIAL[0],
            "bos_token": SPECIAL[1],
            "eos_token": SPECIAL[2],
            "model_max_length": CONTEXT,
            "clean_up_tokenization_spaces": False,
        },
    }


def write(place: Path, seed: int = 1, sharp: float = 1.0) -> str:
    """Write the model's files; return what they are, in a line. The last two are of the weights."""
    for name, content in files().items():
        (place / name).write_text(json.dumps(content) + "\n", encoding="utf-8")
    return f"{write_weights(place, seed, sharp) / 1e9:.1f} G parameters, vocabulary {VOCABULARY}"


if __name__ == "__main__":
    sys.exit(folder.main("Make the model of the vLLM example on a GPU.", write))
