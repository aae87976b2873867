"""Decide the verdict on a comparison, by small rules in the order of docs/verdicts.md: suspicious,
trade-off, faster, slower, same, else inconclusive."""

from __future__ import annotations

from bisect import bisect_left
from typing import Literal

from patchbench.verdicts.statistics import Paired, projected

Verdict = Literal[
    "faster",
    "same",
    "slower",
    "inconclusive",
    "trade-off",
    "suspicious",
    "wrong output",
    "not measured",
]
VERDICTS: tuple[Verdict, ...] = (
    "faster",
    "same",
    "slower",
    "inconclusive",
    "trade-off",
    "suspicious",
    "wrong output",
    "not measured",
)

# The mark of a verdict in dense tables, and the mark of a gain that a person should check.
MARKS: dict[Verdict, str] = {
    "faster": "+",
    "same": "=",
    "slower": "-",
    "inconclusive": "~",
    "trade-off": "±",
    "suspicious": "!",
    "wrong output": "x",
    "not measured": " ",
}
REVIEW_MARK = "?"

# Verdicts that say that the primary metric got better beyond noise.
GAINED: tuple[Verdict, ...] = ("faster", "trade-off", "suspicious")

SIGNIFICANT = 0.05
# A gain that needs more blocks than this lies at the floor: it is not worth measuring.
MOST_BLOCKS = 1000


def is_faster(found: Paired, p_adjusted: float, floor: float) -> bool:
    """Return True if the interval lies above 1, the gain exceeds the floor, and p is
    significant."""
    return found.low > 1 and found.ratio >= 1 + floor and p_adjusted < SIGNIFICANT


def is_slower(found: Paired, p_adjusted: float, floor: float) -> bool:
    """Return True for the mirror image of faster."""
    return found.high < 1 and found.ratio <= 1 / (1 + floor) and p_adjusted < SIGNIFICANT


def is_same(found: Paired, floor: float) -> bool:
    """Return True if the whole interval lies within the floor."""
    return found.low >= 1 / (1 + floor) and found.high <= 1 + floor


def review(found: Paired, human: Paired | None, *, over: float, times_human: float) -> str | None:
    """Return why a person should check a gain before it is quoted, or None. ``human`` is the
    human's comparison if its gain was reproduced: a gain that it explains is not strange."""
    if human is not None and found.ratio - 1 > times_human * (human.ratio - 1):
        return f"{(found.ratio - 1) / (human.ratio - 1):.1f} times the human's gain"
    if found.ratio > over and (human is None or found.ratio > human.high):
        return f"over {over:g}x"
    return None


def at_least_human(found: Paired, floor: float) -> bool:
    """Return True if an arm is not worse than the human's commit by more than the floor: the
    interval of arm over human lies above 1 / (1 + floor)."""
    return found.low >= 1 / (1 + floor)


def decide(
    found: Paired | None,
    *,
    p_adjusted: float,
    floor: float,
    min_blocks: int,
    implausible: bool = False,
    guard_lost: bool = False,
) -> Verdict:
    """Return the verdict on one comparison of an arm with a reference."""
    if found is None:
        return "not measured"
    if found.pairs < min_blocks:
        return "inconclusive"
    if is_faster(found, p_adjusted, floor):
        if implausible:
            return "suspicious"
        return "trade-off" if guard_lost else "faster"
    if is_slower(found, p_adjusted, floor):
        return "slower"
    return "same" if is_same(found, floor) else "inconclusive"


def blocks_to_decide(
    found: Paired, *, times: float, floor: float, confidence: float, min_blocks: int
) -> int | None:
    """Return about how many blocks would decide an inconclusive comparison, if its ratio and spread
    stayed as they are; None if none up to ``MOST_BLOCKS`` would: its gain lies at the floor, or it
    has no spread to go by. ``times`` is what p is multiplied with before it counts (looks, the
    other comparisons of the table), ``confidence`` that of the interval."""
    if not found.has_spread:
        return None

    def decided(pairs: int) -> bool:
        then = projected(found, pairs, confidence)
        p = min(1.0, times * then.p)
        return decide(then, p_adjusted=p, floor=floor, min_blocks=min_blocks) != "inconclusive"

    # More blocks make the interval narrower and p smaller, so what is decided once stays decided.
    fewest = max(found.pairs + 1, min_blocks)
    count = bisect_left(range(fewest, MOST_BLOCKS + 1), True, key=decided) + fewest
    return count if count <= MOST_BLOCKS else None
