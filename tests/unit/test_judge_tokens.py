"""A tokenizer file, if the library for it is installed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from patchbench.errors import BadInput
from patchbench.judge import tokens
from patchbench.judge.tokens import FileTokenizer, count_tokens
from tests.unit.judge_make import answer

WORDS = {
    "version": "1.0",
    "truncation": None,
    "padding": None,
    "added_tokens": [],
    "normalizer": None,
    "pre_tokenizer": {"type": "WhitespaceSplit"},
    "post_processor": None,
    "decoder": None,
    "model": {"type": "WordLevel", "vocab": {"?": 0, "t0": 1, "t1": 2, "t2": 3}, "unk_token": "?"},
}


def test_a_file(tmp_path: Path) -> None:
    pytest.importorskip("tokenizers")
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps(WORDS))
    tokenizer = FileTokenizer(path)
    assert tokenizer.encode(" t0 t2 t9") == [1, 3, 0]
    assert tokenizer.count(" t0 t2 t9") == 3
    assert tokenizer.decode([2, 3]) == "t1 t2"
    assert count_tokens(answer(ids=()), tokenizer) == (8, 1, "text")


def test_no_file(tmp_path: Path) -> None:
    pytest.importorskip("tokenizers")
    with pytest.raises(BadInput, match=r"name a tokenizer\.json"):
        FileTokenizer(tmp_path / "tokenizer.json")


def test_no_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr(tokens, "import_module", absent)
    with pytest.raises(BadInput, match="pip install tokenizers"):
        FileTokenizer(tmp_path / "tokenizer.json")
