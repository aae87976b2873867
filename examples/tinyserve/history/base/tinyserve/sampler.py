"""Choosing the next token from the logits."""

import math
import random

import numpy as np


def sample(logits: np.ndarray, temperature: float, rng: random.Random) -> int:
    """Token id drawn from softmax(logits / temperature); the likeliest one at temperature 0."""
    scale = 1.0 / temperature if temperature > 0 else 1.0
    values = [float(value) * scale for value in logits]
    peak = max(values)
    weights = [math.exp(value - peak) for value in values]
    total = sum(weights)
    ranked = sorted(enumerate(weights), key=lambda item: item[1], reverse=True)
    if temperature <= 0:
        return ranked[0][0]
    target, cumulative = rng.random(), 0.0
    for token_id, weight in ranked:
        cumulative += weight / total
        if cumulative >= target:
            return token_id
    return ranked[-1][0]
