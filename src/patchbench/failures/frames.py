"""Whether a traceback went through files that the patch changed: evidence for or against it.

It is no proof either way. A patch may break what another file then trips over, and a changed file
may only pass on what went wrong elsewhere; so the mark stands beside the blame and decides nothing.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from typing import Literal

Mark = Literal["in patch", "not in patch", "none"]

INSTALLED = re.compile(r"^.*/(?:site|dist)-packages/")
# Enough to see the way; the innermost are the telling ones.
MOST = 30


def files(frames: Iterable[str], tree: str) -> tuple[str, ...]:
    """The files of a traceback, outermost first: those of the arm's tree (a folder's path with a
    slash at the end) relative to it, those of installed packages relative to site-packages."""
    shown = [INSTALLED.sub("", path.removeprefix(tree)) for path in frames]
    return tuple(dict.fromkeys(path for path in shown if not path.startswith("<")))[-MOST:]


def mark(traceback: Iterable[str], patched: Collection[str]) -> Mark:
    """Whether any file of a traceback is one that the patch changed; "none" without a traceback."""
    shown = list(traceback)
    if not shown:
        return "none"
    # Of an image whose tree is not known the paths are absolute.
    touched = any(path == file or path.endswith(f"/{file}") for path in shown for file in patched)
    return "in patch" if touched else "not in patch"
