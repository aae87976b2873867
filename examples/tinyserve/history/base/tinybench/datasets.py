"""Random prompts as lists of token ids."""

import random

# Ids below are special and byte tokens; every tinyserve model has at least 2048 ids.
FIRST_ID, LAST_ID = 259, 2047


def random_prompts(count: int, input_len: int, prefix_len: int, seed: int) -> list[list[int]]:
    """`count` prompts: a prefix of `prefix_len` ids shared by all, then `input_len` own ones."""
    rng = random.Random(seed)

    def ids(length: int) -> list[int]:
        return [rng.randint(FIRST_ID, LAST_ID) for _ in range(length)]

    prefix = ids(prefix_len)
    return [prefix + ids(input_len) for _ in range(count)]


def arrival_delays(count: int, rate: float, seed: int) -> list[float]:
    """Seconds between arrivals: exponential at `rate` requests/s, zeros if it is infinite."""
    if rate == float("inf"):
        return [0.0] * count
    rng = random.Random(seed + 1)
    return [rng.expovariate(rate) for _ in range(count)]
