"""The elementary operations of a transformer, on float32 arrays."""

import numpy as np


def rms_norm(x: np.ndarray, weight: np.ndarray, eps: float = 1e-5) -> np.ndarray:
    """Root-mean-square normalisation over the last axis."""
    return x / np.sqrt((x * x).mean(axis=-1, keepdims=True) + np.float32(eps)) * weight


def rotary(x: np.ndarray, positions: np.ndarray, theta: float) -> np.ndarray:
    """Rotary position embedding of `x` [tokens, heads, head_dim] at `positions` [tokens]."""
    half = x.shape[-1] // 2
    frequencies = theta ** (-np.arange(half, dtype=np.float32) / half)
    angles = positions[:, None].astype(np.float32) * frequencies.astype(np.float32)
    cos, sin = np.cos(angles)[:, None, :], np.sin(angles)[:, None, :]
    first, second = x[..., :half], x[..., half:]
    return np.concatenate((first * cos - second * sin, second * cos + first * sin), axis=-1)


def softmax(x: np.ndarray) -> np.ndarray:
    """Softmax over the last axis."""
    exp = np.exp(x - x.max(axis=-1, keepdims=True))
    return exp / exp.sum(axis=-1, keepdims=True)


def silu(x: np.ndarray) -> np.ndarray:
    """x times its sigmoid."""
    return x / (np.float32(1.0) + np.exp(-x))
