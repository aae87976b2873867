"""Simulate how often the answers' check flags an honest arm, and how often it finds a wrong one.

    python benchmarks/judge/false_alarms.py [--arms 2000]

Gaps per token are drawn like those measured on an H200: 11 % of the tokens aren't the scorer's
first choice, by an exponential gap of mean 0.14 nats; answers differ among each other by a
log-normal factor (sigma 0.5). Tokens within an answer are independent, which real ones aren't: the
factor stands for that.
"""

from __future__ import annotations

import argparse
import random
from collections import Counter

from patchbench.judge.answers import check_answers
from patchbench.judge.scores import Score, Scores


def launch(draw: random.Random, answers: int, off: float, gap: float, wrong: float = 0.0) -> Scores:
    """Return scores of one launch; a share ``wrong`` of the answers is garbage."""
    scores = []
    for index in range(answers):
        factor = draw.lognormvariate(-0.125, 0.5)
        bad = draw.random() < wrong
        share, mean = (0.5, 3.0) if bad else (min(1.0, off * factor), gap)
        gaps = tuple(
            draw.expovariate(1 / mean) if draw.random() < share else 0.0 for _ in range(128)
        )
        scores.append(Score(index=index, gaps=gaps, distinct=60))
    return Scores(block=1, window=1, form="prompt_logprobs", scores=tuple(scores))


CASES = {
    "the same code": {"off": 0.11, "gap": 0.14},
    "another batch size (as measured)": {"off": 0.126, "gap": 0.164},
    "gap a half larger": {"off": 0.11, "gap": 0.21},
    "gap doubled": {"off": 0.16, "gap": 0.19},
    "gap four times as large": {"off": 0.22, "gap": 0.28},
    "gap eight times as large": {"off": 0.31, "gap": 0.4},
    "a layer of 16 less": {"off": 0.508, "gap": 0.81},
    "one answer of 50 is garbage": {"off": 0.11, "gap": 0.14, "wrong": 0.02},
    "one answer of 20 is garbage": {"off": 0.11, "gap": 0.14, "wrong": 0.05},
    "one answer of 10 is garbage": {"off": 0.11, "gap": 0.14, "wrong": 0.1},
}


def main() -> None:
    """Print a row per case."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--arms", type=int, default=2000)
    parser.add_argument("--answers", type=int, default=48)
    options = parser.parse_args()
    for case, values in CASES.items():
        draw = random.Random(case)
        statuses: Counter[str] = Counter()
        count = (
            options.arms if "wrong" not in values and values["gap"] < 0.17 else options.arms // 10
        )
        for _ in range(count):
            base = [launch(draw, options.answers, 0.11, 0.14) for _ in range(2)]
            check = check_answers(launch(draw, options.answers, **values), base, greedy=True)
            statuses[check.rule or check.status] += 1
        print(f"| {case} | {count} | " + ", ".join(f"{k} {v}" for k, v in statuses.items()) + " |")


if __name__ == "__main__":
    main()
