"""A deterministic tokenizer: special tokens, the 256 bytes, then syllable pieces.

A piece never depends on its neighbours, so the text of an answer is the concatenation of the
texts of its tokens. A byte that is not printable ASCII is shown as `<0xNN>`.
"""

from itertools import product

from tinyserve.config import VOCAB_SIZE

PAD_ID, BOS_ID, EOS_ID = 0, 1, 2
FIRST_BYTE_ID = 3
FIRST_PIECE_ID = FIRST_BYTE_ID + 256
ONSETS = ("b", "d", "f", "g", "h", "k", "l", "m", "n", "p", "r", "s", "t", "v", "w", "z")
VOWELS = ("a", "e", "i", "o", "u")
CODAS = ("", "n", "r", "s", "l", "t", "m", "d", "k", "st", "nd", "g")
COMMON = ("the", "and", "of", "to", "in", "is", "that", "for", "with", "as")


def _pieces() -> list[str]:
    """Word pieces in id order: common words first, then syllables, each with and without space."""
    syllables = [onset + vowel + coda for coda, onset, vowel in product(CODAS, ONSETS, VOWELS)]
    bare = list(dict.fromkeys(COMMON + tuple(syllables)))
    pieces = [space + piece for piece in bare for space in (" ", "")]
    return pieces[: VOCAB_SIZE - FIRST_PIECE_ID]


class Tokenizer:
    """Greedy longest-match encoding over a fixed table of pieces."""

    def __init__(self) -> None:
        self._bytes = [chr(b) if 32 <= b < 127 or b == 10 else f"<0x{b:02X}>" for b in range(256)]
        self._pieces = _pieces()
        self._ids = {piece: FIRST_PIECE_ID + i for i, piece in enumerate(self._pieces)}
        self._longest = max(len(piece) for piece in self._pieces)
        self.vocab_size = FIRST_PIECE_ID + len(self._pieces)

    def encode(self, text: str) -> list[int]:
        """Token ids of `text`, with the begin-of-sequence token in front."""
        ids, start = [BOS_ID], 0
        while start < len(text):
            for length in range(min(self._longest, len(text) - start), 0, -1):
                piece_id = self._ids.get(text[start : start + length])
                if piece_id is not None:
                    ids.append(piece_id)
                    start += length
                    break
            else:
                ids.extend(FIRST_BYTE_ID + byte for byte in text[start].encode("utf-8"))
                start += 1
        return ids

    def piece(self, token_id: int) -> str:
        """The text of one token; special tokens have none."""
        if not 0 <= token_id < self.vocab_size:
            raise ValueError(f"token id {token_id} is outside the vocabulary")
        if token_id in (PAD_ID, BOS_ID, EOS_ID):
            return ""
        if token_id < FIRST_PIECE_ID:
            return self._bytes[token_id - FIRST_BYTE_ID]
        return self._pieces[token_id - FIRST_PIECE_ID]

    def decode(self, token_ids: list[int]) -> str:
        """The text of a sequence of tokens."""
        return "".join(self.piece(token_id) for token_id in token_ids)
