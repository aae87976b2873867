"""What a patch is like, in numbers: none of them decides anything."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from patchbench.patches.diff_reader import scan
from patchbench.patches.scope import matches

TOKEN = re.compile(r"\w+|[^\w\s]")
TESTS = ("test/*", "tests/*", "*/test/*", "*/tests/*", "test_*.py", "*/test_*.py", "*_test.py")
# A line of fewer tokens (`else:`, `)`, `return x`) stands in any text.
TELLING_TOKENS = 4
MAX_PROMPT = 20_000_000


class Size(NamedTuple):
    """Counts over a diff."""

    hunks: int = 0
    added: int = 0
    removed: int = 0


def size(measured: bytes) -> Size:
    """Hunks and changed lines of a diff as git writes it."""
    hunks = [h for s in scan(text_of(measured)).sections for h in s.hunks]
    return Size(len(hunks), sum(len(h.added) for h in hunks), sum(h.removed for h in hunks))


def text_of(data: bytes) -> str:
    """Bytes of a diff as text, nothing lost."""
    return data.decode("utf-8", "surrogateescape")


def tests_touched(paths: Iterable[str]) -> bool:
    """Whether a patch as delivered changes tests."""
    return any(matches(path, TESTS) for path in paths)


def python_only(paths: Iterable[str]) -> bool:
    """Whether all files of a patch are Python sources."""
    return all(path.endswith((".py", ".pyi")) for path in paths)


def added_lines(diff: bytes, wanted: Callable[[str], bool]) -> list[str]:
    """The lines that a diff adds to the files that are wanted."""
    return [
        line
        for section in scan(text_of(diff)).sections
        if wanted(section.path)
        for hunk in section.hunks
        for line in hunk.added
    ]


def similarity(ours: Iterable[str], humans: Iterable[str]) -> float | None:
    """How like two patches are, 0 to 1: the multiset Jaccard index of the tokens (words, and marks
    one by one) of their added lines, that is the sum over all tokens of the smaller count divided
    by that of the larger. None where neither adds anything."""
    one, two = (
        Counter(t for line in lines for t in TOKEN.findall(line)) for lines in (ours, humans)
    )
    union = (one | two).total()
    return round((one & two).total() / union, 4) if union else None


def prompt_overlap(humans: Iterable[str], prompt: str) -> float | None:
    """The share of the human patch's telling added lines that stand in the agent's prompt: what
    the agent was shown, it did not find. None where no line tells anything."""
    telling = [line.strip() for line in humans if len(TOKEN.findall(line)) >= TELLING_TOKENS]
    if not telling:
        return None
    return round(sum(line in prompt for line in telling) / len(telling), 4)


def read_prompt(path: Path) -> str | None:
    """A prompt's text, from a plain file or from all strings of a JSON one; None if there is
    none that can be read."""
    try:
        if path.stat().st_size > MAX_PROMPT:
            return None
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    if path.suffix != ".json":
        return text
    try:
        return "\n".join(_strings(json.loads(text)))
    except (ValueError, RecursionError):
        return text


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from _strings(item)
    elif isinstance(value, list):
        for item in value:
            yield from _strings(item)
