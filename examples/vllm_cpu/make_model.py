#!/usr/bin/env python3
"""Make the small Llama that both tasks run on: config, tokenizer and seeded float32 weights.

Run with the Python of the vLLM environment (it needs tokenizers and NumPy):

    python make_model.py --out DIR/model

How the weights are made, and why they matter: ../vllm_common/weights.py.
"""

import json
import random
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "vllm_common"))

import folder
from weights import write_weights

# Small enough that Python around the model is a visible share of a step, large enough that
# computing a long prompt costs clearly more than serving one.
HIDDEN, LAYERS, HEADS, HEAD_DIM, MLP = 128, 4, 4, 32, 384
VOCABULARY = 10_240  # `vllm bench latency` draws token ids from 0 to 9999
CONTEXT = 4096
SPECIAL = ["<unk>", "<s>", "</s>"]
SEED = 20_240


def corpus(rng: random.Random) -> list[str]:
    """Sentences of invented lower-case words: enough of them to fill the vocabulary."""
    letters = "abcdefghijklmnopqrstuvwxyz"
    words = ["".join(rng.choices(letters, k=rng.randint(2, 8))) for _ in range(12_000)]
    return [" ".join(rng.choices(words, k=20)) for _ in range(4_000)]


def write_tokenizer(folder: Path) -> int:
    """Train a byte-level BPE tokenizer and return the size of its vocabulary."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=SPECIAL,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(corpus(random.Random(SEED)), trainer)
    tokenizer.save(str(folder / "tokenizer.json"))
    write_json(
        folder / "tokenizer_config.json",
        {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "unk_token": SPECIAL[0],
            "bos_token": SPECIAL[1],
            "eos_token": SPECIAL[2],
            "model_max_length": CONTEXT,
        },
    )
    return tokenizer.get_vocab_size()


def write_config(folder: Path, vocabulary: int) -> None:
    """Write the model's config and its (greedy) generation defaults."""
    ends = {"bos_token_id": 1, "eos_token_id": 2}
    write_json(folder / "generation_config.json", ends)
    write_json(
        folder / "config.json",
        {
            "architectures": ["LlamaForCausalLM"],
            "model_type": "llama",
            "hidden_size": HIDDEN,
            "intermediate_size": MLP,
            "num_hidden_layers": LAYERS,
            "num_attention_heads": HEADS,
            "num_key_value_heads": HEADS,
            "head_dim": HEAD_DIM,
            "vocab_size": vocabulary,
            "max_position_embeddings": CONTEXT,
            "rms_norm_eps": 1e-6,
            "rope_theta": 10_000.0,
            "hidden_act": "silu",
            "attention_bias": False,
            "tie_word_embeddings": False,
            "torch_dtype": "float32",
            **ends,
        },
    )


def write_json(path: Path, content: dict) -> None:
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def write(place: Path) -> str:
    """Write the model's files; what they are, in a line."""
    vocabulary = write_tokenizer(place)
    write_config(place, vocabulary)
    parameters = write_weights(place)
    return f"{parameters / 1e6:.1f} M parameters, vocabulary {vocabulary}"


if __name__ == "__main__":
    sys.exit(folder.main("Make the small model of the vLLM example.", write))
