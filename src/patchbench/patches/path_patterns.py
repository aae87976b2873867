"""Paths by patterns of a subject's data."""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence


def matches(path: str, patterns: Sequence[str]) -> bool:
    """Return True if a path lies in one of the folders or matches one of the globs."""
    return any(
        path.startswith(pattern) if pattern.endswith("/") else fnmatch.fnmatchcase(path, pattern)
        for pattern in patterns
    )
