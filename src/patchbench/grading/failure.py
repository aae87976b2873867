"""A failure of a launch before its logs are asked for an explanation."""

from __future__ import annotations

from typing import NamedTuple

from patchbench.records import Evidence


class Failure(NamedTuple):
    """A cause and its evidence. ``logs`` may explain it, the likeliest first."""

    cause: str
    evidence: Evidence | None
    logs: tuple[str, ...]
