"""Quadrants: whether a patch went for the right target, beside whether it was as fast as the
human's commit. An optional layer: the targets are somebody's judgement (a person's or a model's)
and come from a CSV file with the columns commit, agent, target; other columns are ignored.

target      | as fast as the human  | not
------------|-----------------------|------------
right       | true success          | good intent
wrong, none | lucky win             | failure

Source: the predecessor's paper (arXiv 2602.19594), whose names for targets are read as well.
"""

from __future__ import annotations

import csv
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Literal, NamedTuple

from patchbench.errors import BadInput

Target = Literal["same", "related", "different", "none"]
Quadrant = Literal["true success", "good intent", "lucky win", "failure"]

TARGETS: dict[str, Target] = {
    "same": "same",
    "related": "related",
    "different": "different",
    "none": "none",
    "same_target": "same",
    "related_target": "related",
    "different_target": "different",
    "no_optimization": "none",
}
# Targets that count as right; {"same"} alone is the stricter reading.
RIGHT: frozenset[Target] = frozenset({"same", "related"})

COLUMNS = ("commit", "agent", "target")
SHORT = 8  # characters of a commit that a file must give at least

_QUADRANTS: dict[tuple[bool, bool], Quadrant] = {
    (True, True): "true success",
    (True, False): "good intent",
    (False, True): "lucky win",
    (False, False): "failure",
}


def quadrant(target: Target, hard: bool, right: Collection[Target] = RIGHT) -> Quadrant:
    """The quadrant of a patch with this target; ``hard``: it was as fast as the human's commit."""
    return _QUADRANTS[target in right, hard]


class Quadrants(NamedTuple):
    """How many patches lie in each quadrant, and the shares that are made of them (0 to 1)."""

    true_success: int
    good_intent: int
    lucky_win: int
    failure: int

    @property
    def total(self) -> int:
        """All patches judged."""
        return sum(self)

    @property
    def true(self) -> float | None:
        """Share of true successes."""
        return self._share(self.true_success)

    @property
    def hard(self) -> float | None:
        """Share as fast as the human's commit, whatever the target."""
        return self._share(self.true_success + self.lucky_win)

    @property
    def target(self) -> float | None:
        """Share with the right target, whatever the speed."""
        return self._share(self.true_success + self.good_intent)

    @property
    def gap(self) -> float | None:
        """How far speed alone flatters: hard less true."""
        return self._share(self.lucky_win)

    def _share(self, part: int) -> float | None:
        return part / self.total if self.total else None


def count(cells: Iterable[str | None]) -> Quadrants:
    """Count quadrants by name; patches without one (nobody judged them) are left out."""
    found = list(cells)
    return Quadrants(*(found.count(name) for name in _QUADRANTS.values()))


def read_targets(path: Path) -> dict[tuple[str, str], Target]:
    """Judged targets by commit (as the file gives it, 8 characters or more) and agent.

    Raises BadInput with file and line for a missing column, an unknown target, or two judgements
    of one patch that differ.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise BadInput(f"{path}: judged targets can't be read: {error}") from error
    found: dict[tuple[str, str], Target] = {}
    for line, row in enumerate(rows, 2):
        missing = [name for name in COLUMNS if not row.get(name)]
        if missing:
            raise BadInput(f"{path}: line {line}: no {missing[0]}; columns: {', '.join(COLUMNS)}")
        target = TARGETS.get(row["target"].strip().lower())
        if target is None:
            known = ", ".join(sorted(set(TARGETS.values())))
            raise BadInput(f"{path}: line {line}: target {row['target']!r}; known: {known}")
        key = (row["commit"].strip(), row["agent"].strip())
        if len(key[0]) < SHORT:
            raise BadInput(f"{path}: line {line}: commit {key[0]!r} has under {SHORT} characters")
        if found.setdefault(key, target) != target:
            raise BadInput(f"{path}: line {line}: {key[0]} {key[1]} was judged {found[key]} before")
    return found


def target_of(targets: Mapping[tuple[str, str], Target], commit: str, agent: str) -> Target | None:
    """The judged target of a patch, its commit named in full or by its first characters."""
    matching = (
        target
        for (given, name), target in targets.items()
        if name == agent and commit.startswith(given)
    )
    return next(matching, None)
