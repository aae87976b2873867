import unittest

from tinyserve.config import EngineConfig, SamplingParams
from tinyserve.engine import Engine
from tinyserve.scoring import prompt_logits, prompt_logprobs

PROMPTS = ["the capital of", "to be or not to be", "a", "that is for the sun and the moon"]


class EngineTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        cls.engine = Engine(EngineConfig(model="tiny", max_num_seqs=3))

    def generate(self, prompts: list[str], **params) -> list[list[int]]:
        ids = [self.engine.tokenizer.encode(prompt) for prompt in prompts]
        return self.engine.generate(ids, SamplingParams(ignore_eos=True, **params))

    def test_answers_do_not_depend_on_the_batch(self) -> None:
        together = self.generate(PROMPTS, max_tokens=12)
        alone = [self.generate([prompt], max_tokens=12)[0] for prompt in PROMPTS]
        self.assertEqual(together, alone)
        self.assertTrue(all(len(answer) == 12 for answer in together))

    def test_sampling_is_seeded(self) -> None:
        first = self.generate(PROMPTS[:1], max_tokens=8, temperature=1.0, seed=3)
        again = self.generate(PROMPTS[:1], max_tokens=8, temperature=1.0, seed=3)
        self.assertEqual(first, again)

    def test_greedy_answers_are_the_likeliest_tokens_of_the_whole_sequence(self) -> None:
        for prompt in PROMPTS:
            ids = self.engine.tokenizer.encode(prompt)
            answer = self.engine.generate([ids], SamplingParams(max_tokens=12, ignore_eos=True))[0]
            logits = prompt_logits(
                self.engine.model.weights, self.engine.model_config, ids + answer
            )
            self.assertEqual(logits.argmax(axis=-1)[len(ids) - 1 : -1].tolist(), answer)
            places = prompt_logprobs(logits, ids + answer, 1, self.engine.tokenizer)
            self.assertIsNone(places[0])
            ranks = [place[str(i)]["rank"] for place, i in zip(places[len(ids) :], answer)]
            self.assertEqual(ranks, [1] * len(answer))

    def test_a_prompt_that_is_too_long_is_refused(self) -> None:
        with self.assertRaises(ValueError):
            self.engine.add_request([300] * 510, SamplingParams(max_tokens=16))


if __name__ == "__main__":
    unittest.main()
