import unittest

from tinyserve.config import VOCAB_SIZE
from tinyserve.tokenizer import BOS_ID, Tokenizer


class TokenizerTest(unittest.TestCase):
    def setUp(self) -> None:
        self.tokenizer = Tokenizer()

    def test_vocabulary_is_full_and_distinct(self) -> None:
        self.assertEqual(self.tokenizer.vocab_size, VOCAB_SIZE)
        pieces = {self.tokenizer.piece(token_id) for token_id in range(3, VOCAB_SIZE)}
        self.assertEqual(len(pieces), VOCAB_SIZE - 3)

    def test_ascii_text_survives_a_round_trip(self) -> None:
        text = "the banana is for the kangaroo, 42 times\n"
        ids = self.tokenizer.encode(text)
        self.assertEqual(ids[0], BOS_ID)
        self.assertEqual(self.tokenizer.decode(ids), text)
        self.assertLess(len(ids), len(text))


if __name__ == "__main__":
    unittest.main()
