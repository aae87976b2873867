"""Descriptive numbers of a patch; none of them decides anything."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from patchbench.patches.diff_reader import Diff
from patchbench.patches.path_patterns import matches
from patchbench.system.contained_file import open_contained

TOKEN = re.compile(r"\w+|[^\w\s]")
TESTS = ("test/*", "tests/*", "*/test/*", "*/tests/*", "test_*.py", "*/test_*.py", "*_test.py")
# Lines with fewer tokens (`else:`, `)`, `return x`) occur in any text.
DISTINCTIVE_TOKENS = 4
MAX_PROMPT = 20_000_000


class Size(NamedTuple):
    """Counts over a diff."""

    hunks: int = 0
    added: int = 0
    removed: int = 0


def size(diff: Diff) -> Size:
    """Return the number of hunks and of changed lines."""
    hunks = [hunk for section in diff.sections for hunk in section.hunks]
    added = sum(len(hunk.added) for hunk in hunks)
    return Size(len(hunks), added, sum(hunk.removed for hunk in hunks))


def changes_tests(paths: Iterable[str]) -> bool:
    """Return True if one of the paths is a test."""
    return any(matches(path, TESTS) for path in paths)


def is_python_only(paths: Iterable[str]) -> bool:
    """Return True if all paths are Python sources."""
    return all(path.endswith((".py", ".pyi")) for path in paths)


def added_lines(diff: Diff, accept: Callable[[str], bool] = lambda _: True) -> list[str]:
    """Return the lines that a diff adds to files with an accepted path."""
    return [
        line
        for section in diff.sections
        if accept(section.path)
        for hunk in section.hunks
        for line in hunk.added
    ]


def similarity(lines: Iterable[str], human_lines: Iterable[str]) -> float | None:
    """Return the multiset Jaccard index of the tokens of added lines, 0 to 1: the sum over all
    tokens (words, and marks one by one) of the smaller count, divided by that of the larger. None
    if neither patch adds anything."""
    one, two = (
        Counter(token for line in part for token in TOKEN.findall(line))
        for part in (lines, human_lines)
    )
    union = (one | two).total()
    return round((one & two).total() / union, 4) if union else None


def prompt_overlap(human_lines: Iterable[str], prompt: str) -> float | None:
    """Return the share of the human patch's distinctive added lines that the agent's prompt
    contains, 0 to 1; None if there is no distinctive line."""
    lines = [line.strip() for line in human_lines if len(TOKEN.findall(line)) >= DISTINCTIVE_TOKENS]
    return round(sum(line in prompt for line in lines) / len(lines), 4) if lines else None


def read_prompt(path: Path) -> str | None:
    """Return a prompt's text, from a plain file or from all strings of a JSON file; None if there
    is no readable file of at most MAX_PROMPT bytes."""
    try:
        with open_contained(path, path.parent) as file:
            data = file.read(MAX_PROMPT + 1)
    except OSError:
        return None
    if len(data) > MAX_PROMPT:
        return None
    text = data.decode("utf-8", "replace")
    if path.suffix != ".json":
        return text
    try:
        return "\n".join(_strings(json.loads(text)))
    except (ValueError, RecursionError):
        return text


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _strings(item)
