"""Counts of tokens that don't rest on the server's word.

Best: the ids that it streamed (their truth is for scoring and ``ids_match``). Else: the text,
counted with the baseline's tokenizer. Else: chunks with text, which are tokens only if the server
sends each token for itself.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol

from patchbench.errors import BadInput
from patchbench.judge.record import Answer

Source = Literal["ids", "text", "chunks"]


class Tokenizer(Protocol):
    """The baseline's tokenizer, as far as the judge needs one."""

    def count(self, text: str) -> int:
        """Return the number of tokens of a text, without special ones."""
        ...

    def encode(self, text: str) -> list[int]:
        """Return the token ids of a text, without special ones."""
        ...

    def decode(self, ids: list[int]) -> str:
        """Return the text of token ids, special ones skipped."""
        ...


class TokenCount(NamedTuple):
    """Output tokens of one answer, those of its first chunk, and what they were counted by."""

    total: int
    first: int
    source: Source


def count_tokens(answer: Answer, tokenizer: Tokenizer | None = None) -> TokenCount:
    """Return an answer's output tokens. The first chunk counts as one token at least."""
    chunks = list(answer.chunks())
    if not chunks:
        return TokenCount(0, 0, "ids" if answer.ids else "text" if tokenizer else "chunks")
    if answer.ids:
        return TokenCount(len(answer.token_ids), max(1, len(chunks[0].ids)), "ids")
    if tokenizer is not None:
        first = max(1, tokenizer.count(chunks[0].text))
        return TokenCount(max(first, tokenizer.count(answer.whole_text)), first, "text")
    return TokenCount(len(chunks), 1, "chunks")


class FileTokenizer:
    """A Hugging Face ``tokenizer.json``."""

    def __init__(self, path: Path) -> None:
        """Load a file. Raises BadInput if it can't be read or the library is absent."""
        try:
            tokenizers = import_module("tokenizers")
        except ImportError as error:
            raise BadInput(
                f"{path}: the library tokenizers is not installed | next: pip install tokenizers, "
                "or measure a server that streams token ids"
            ) from error
        try:
            self._tokenizer: Any = tokenizers.Tokenizer.from_file(str(path))
        except Exception as error:  # the library raises plain Exception
            raise BadInput(f"{path}: {error} | next: name a tokenizer.json") from error

    def encode(self, text: str) -> list[int]:
        """Return the token ids of a text, without special ones."""
        ids: list[int] = self._tokenizer.encode(text, add_special_tokens=False).ids
        return ids

    def count(self, text: str) -> int:
        """Return the number of tokens of a text, without special ones."""
        return len(self.encode(text))

    def decode(self, ids: list[int]) -> str:
        """Return the text of token ids, special ones skipped."""
        text: str = self._tokenizer.decode(ids, skip_special_tokens=True)
        return text
