"""Sources of agents' patches: run folders, trajectories, predictions, plain folders and git."""

from patchbench.patches.sources.base import PatchPlace, PatchQuery
from patchbench.patches.sources.fetching import (
    MISSING,
    UNREADABLE,
    Patches,
    as_text,
    away,
    fetch,
    fingerprint,
    forget,
    open_sources,
    parse,
    problems,
    strays,
)

__all__ = [
    "MISSING", "UNREADABLE", "PatchPlace", "PatchQuery", "Patches", "as_text", "away", "fetch",
    "fingerprint", "forget", "open_sources", "parse", "problems", "strays",
]  # fmt: skip
