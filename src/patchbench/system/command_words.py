"""Command lines as data: words with placeholders in braces, run without a shell."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

PLACEHOLDER = re.compile(r"\{([a-z_]+)\}")

Value = str | Sequence[str]


def expand(words: Iterable[str], values: Mapping[str, Value]) -> list[str]:
    """Fill placeholders. A word that is one placeholder may expand to several words or none.

    Raises KeyError with the name of a placeholder without a value.
    """
    out: list[str] = []
    for word in words:
        whole = PLACEHOLDER.fullmatch(word)
        if whole and not isinstance(values[whole[1]], str):
            out.extend(values[whole[1]])
        else:
            out.append(PLACEHOLDER.sub(lambda match: str(values[match[1]]), word))
    return out


def placeholders(words: Iterable[str]) -> set[str]:
    """Return the names of all placeholders in a command."""
    return {name for word in words for name in PLACEHOLDER.findall(word)}
