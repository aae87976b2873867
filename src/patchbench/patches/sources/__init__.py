"""Where patches come from: folders, run folders, trajectories, predictions, git; in that many
shapes agents' work was left behind."""

from patchbench.patches.sources.base import Content, Hit, Kind, Source, Wanted, Where
from patchbench.patches.sources.fetching import (
    Patches,
    as_text,
    fetch,
    fingerprint,
    forget,
    open_sources,
    parse,
    problems,
)
from patchbench.patches.sources.folder import find_patch

__all__ = [
    "Content", "Hit", "Kind", "Patches", "Source", "Wanted", "Where", "as_text", "fetch",
    "find_patch", "fingerprint", "forget", "open_sources", "parse", "problems",
]  # fmt: skip
