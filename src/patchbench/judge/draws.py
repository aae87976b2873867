"""Random draws that only the holder of a secret can foresee.

The stream is SHAKE-256 (FIPS 202) over HMAC-SHA256(secret, labels) and a counter. Unlike the
generator of Python's ``random`` module, numbers already seen tell nothing about those to come, and
the stream is the same in every version of Python.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import struct
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")

SECRET_BYTES = 32
NUMBERS = 4096  # drawn at a time


def new_secret() -> bytes:
    """Draw a secret from the operating system."""
    return secrets.token_bytes(SECRET_BYTES)


def commitment(secret: bytes) -> str:
    """Return the SHA-256 of a secret in hex: published before the secret is used."""
    return hashlib.sha256(secret).hexdigest()


class Draws:
    """A stream of numbers. Equal secrets and labels give equal streams."""

    def __init__(self, secret: bytes, *labels: object) -> None:
        text = "\x00".join(str(label) for label in labels)
        self._key = hmac.digest(secret, text.encode(), "sha256")
        self._counter = 0
        self._numbers: list[int] = []

    def _next(self) -> int:
        if not self._numbers:
            block = self._key + self._counter.to_bytes(8, "little")
            data = hashlib.shake_256(block).digest(8 * NUMBERS)
            self._numbers = list(struct.unpack(f"<{NUMBERS}Q", data))
            self._numbers.reverse()
            self._counter += 1
        return self._numbers.pop()

    def between(self, low: int, high: int) -> int:
        """Return a whole number from ``low`` to ``high``, both included; the bias is below
        (high - low) / 2**64."""
        return low + self._next() % (high - low + 1)

    def unit(self) -> float:
        """Return a number from 0 (included) to 1 (excluded) with 53 random bits."""
        return (self._next() >> 11) / 2.0**53

    def ids(self, count: int, low: int, high: int) -> tuple[int, ...]:
        """Return ``count`` whole numbers from ``low`` to ``high``, both included."""
        span = high - low + 1
        return tuple(low + self._next() % span for _ in range(count))

    def shuffle(self, items: Sequence[T]) -> list[T]:
        """Return the items in random order (Fisher and Yates)."""
        order = list(items)
        for last in range(len(order) - 1, 0, -1):
            other = self.between(0, last)
            order[last], order[other] = order[other], order[last]
        return order
