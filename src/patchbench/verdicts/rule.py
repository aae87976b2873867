"""Decide the verdict on a comparison, by small rules in the order of docs/verdicts.md: suspicious,
trade-off, faster, slower, same, else inconclusive."""

from __future__ import annotations

from bisect import bisect_left
from typing import Literal, get_args

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
VERDICTS: tuple[Verdict, ...] = get_args(Verdict)

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

# Verdicts on a primary metric that got better beyond noise.
GAINED: tuple[Verdict, ...] = ("faster", "trade-off", "suspicious")

SIGNIFICANT = 0.05
# A gain that needs more blocks than this lies at the floor: it is not worth measuring.
MOST_BLOCKS = 1000


def is_faster(numbers: Paired, p_adjusted: float, floor: float) -> bool:
    """Return True if the interval lies above 1, the gain exceeds the floor, and p is
    significant."""
    return numbers.low > 1 and numbers.ratio >= 1 + floor and p_adjusted < SIGNIFICANT


def is_slower(numbers: Paired, p_adjusted: float, floor: float) -> bool:
    """Return True if the interval lies below 1, the loss exceeds the floor, and p is
    significant."""
    return numbers.high < 1 and numbers.ratio <= 1 / (1 + floor) and p_adjusted < SIGNIFICANT


def is_same(numbers: Paired, floor: float) -> bool:
    """Return True if the whole interval lies within the floor."""
    return numbers.low >= 1 / (1 + floor) and numbers.high <= 1 + floor


def review(numbers: Paired, human: Paired | None, *, over: float, times_human: float) -> str | None:
    """Return the reason why a person should check a gain before it is quoted, or None. ``human`` is
    the human's comparison if its gain was reproduced: a gain that it explains is not strange."""
    if human is not None and numbers.ratio - 1 > times_human * (human.ratio - 1):
        return f"{(numbers.ratio - 1) / (human.ratio - 1):.1f} times the human's gain"
    if numbers.ratio > over and (human is None or numbers.ratio > human.high):
        return f"over {over:g}x"
    return None


def at_least_human(numbers: Paired, floor: float) -> bool:
    """Return True if an arm is not worse than the human's commit by more than the floor: the
    interval of arm over human lies above 1 / (1 + floor)."""
    return numbers.low >= 1 / (1 + floor)


def decide(
    numbers: Paired | None,
    *,
    p_adjusted: float,
    floor: float,
    min_blocks: int,
    implausible: bool = False,
    guard_lost: bool = False,
) -> Verdict:
    """Return the verdict on one comparison of an arm with a reference."""
    if numbers is None:
        return "not measured"
    if numbers.pairs < min_blocks:
        return "inconclusive"
    if is_faster(numbers, p_adjusted, floor):
        if implausible:
            return "suspicious"
        return "trade-off" if guard_lost else "faster"
    if is_slower(numbers, p_adjusted, floor):
        return "slower"
    return "same" if is_same(numbers, floor) else "inconclusive"


def blocks_to_decide(
    numbers: Paired, *, times: float, floor: float, confidence: float, min_blocks: int
) -> int | None:
    """Return about how many blocks would decide an inconclusive comparison, if its ratio and spread
    stayed as they are; None if even ``MOST_BLOCKS`` would not: its gain lies at the floor, or it
    has no spread. ``times`` is the factor on p for several looks and the other comparisons of the
    table, ``confidence`` that of the interval."""
    if not numbers.has_spread:
        return None

    def decided(pairs: int) -> bool:
        then = projected(numbers, pairs, confidence)
        p = min(1.0, times * then.p)
        return decide(then, p_adjusted=p, floor=floor, min_blocks=min_blocks) != "inconclusive"

    # More blocks make the interval narrower and p smaller, so a decided comparison stays decided.
    fewest = max(numbers.pairs + 1, min_blocks)
    count = bisect_left(range(fewest, MOST_BLOCKS + 1), True, key=decided) + fewest
    return count if count <= MOST_BLOCKS else None
