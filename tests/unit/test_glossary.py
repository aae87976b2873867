"""The glossary names places that exist, and stays short."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in (ROOT / "docs/glossary.md").read_text().splitlines()
    if line.startswith("| ") and not line.startswith("| word")
]


def exists(place: str) -> bool:
    module, _, name = place.rpartition(".")
    if "/" in place or name == "py":
        return any((base / place).exists() for base in (ROOT, ROOT / "src/patchbench"))
    if place.startswith("Campaign."):
        module, place = "plan.campaign", place
    elif not (ROOT / f"src/patchbench/{module}.py").is_file():
        return True  # a key of the configuration
    found = importlib.import_module(f"patchbench.{module}")
    for part in place.removeprefix(f"{module}.").split("."):
        found = getattr(found, part)
    return True


def test_every_word_has_one_row_with_a_place_that_exists() -> None:
    words = [word for word, _, _ in ROWS]
    assert 25 <= len(words) == len(set(words)) <= 40
    for word, meaning, places in ROWS:
        assert meaning, word
        named = re.findall(r"`([^`]+)`", places)
        assert named, word
        for place in named:
            assert exists(place), (word, place)
