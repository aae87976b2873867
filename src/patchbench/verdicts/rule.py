"""Decide the verdict on a comparison, by small rules in the order of docs/verdicts.md: suspicious,
trade-off, guard open, faster, slower, same, else inconclusive."""

from __future__ import annotations

import math
from bisect import bisect_left
from typing import Literal, get_args

from patchbench.verdicts.looks import Looks
from patchbench.verdicts.statistics import Paired, projected

Verdict = Literal[
    "faster",
    "same",
    "slower",
    "inconclusive",
    "faster, guard open",
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
    "faster, guard open": "⊕",
    "trade-off": "±",
    "suspicious": "!",
    "wrong output": "x",
    "not measured": " ",
}
REVIEW_MARK = "?"

# Verdicts on a primary metric that got better beyond noise.
GAINED: tuple[Verdict, ...] = ("faster", "faster, guard open", "trade-off", "suspicious")

# held: shown to lose less than its margin; lost: shown to lose more; open: neither.
Guard = Literal["held", "open", "lost"]
GUARDED: dict[Guard, Verdict] = {
    "held": "faster",
    "open": "faster, guard open",
    "lost": "trade-off",
}

SIGNIFICANT = 0.05
# A gain that needs more blocks than this lies at the margin: it is not worth measuring.
MOST_BLOCKS = 1000


def is_faster(numbers: Paired, p_adjusted: float, margin: float) -> bool:
    """Return True if the interval lies above 1, the gain is worth calling one, and p is
    significant."""
    return numbers.low > 1 and numbers.ratio >= 1 + margin and p_adjusted < SIGNIFICANT


def is_slower(numbers: Paired, p_adjusted: float, margin: float) -> bool:
    """Return True if the interval lies below 1, the loss is worth calling one, and p is
    significant."""
    return numbers.high < 1 and numbers.ratio <= 1 / (1 + margin) and p_adjusted < SIGNIFICANT


def is_same(numbers: Paired, margin: float) -> bool:
    """Return True if the whole interval lies within the margin."""
    return numbers.low >= 1 / (1 + margin) and numbers.high <= 1 + margin


def is_not_worse(numbers: Paired, margin: float) -> bool:
    """Return True if the interval shows that no more than the margin is lost."""
    return numbers.low >= 1 / (1 + margin)


def visible(numbers: Paired, margin: float) -> float | None:
    """Return the smallest change that these blocks could have shown: half of the interval, at least
    the margin (relative); None without an interval."""
    return max(margin, math.expm1(numbers.half_width)) if numbers.has_spread else None


def review(numbers: Paired, human: Paired | None, *, over: float, times_human: float) -> str | None:
    """Return the reason why a person should check a gain before it is quoted, or None. ``human`` is
    the human's comparison if its gain was reproduced: a gain that it explains is not strange."""
    if human is not None and numbers.ratio - 1 > times_human * (human.ratio - 1):
        return f"{(numbers.ratio - 1) / (human.ratio - 1):.1f} times the human's gain"
    if numbers.ratio > over and (human is None or numbers.ratio > human.high):
        return f"over {over:g}x"
    return None


def decide(
    numbers: Paired | None,
    *,
    p_adjusted: float,
    margin: float,
    min_blocks: int,
    implausible: bool = False,
    guard: Guard = "held",
) -> Verdict:
    """Return the verdict on one comparison of an arm with a reference. ``guard`` is the state of
    the worst of its guards."""
    if numbers is None:
        return "not measured"
    if numbers.pairs < min_blocks:
        return "inconclusive"
    if is_faster(numbers, p_adjusted, margin):
        return "suspicious" if implausible else GUARDED[guard]
    if is_slower(numbers, p_adjusted, margin):
        return "slower"
    return "same" if is_same(numbers, margin) else "inconclusive"


def blocks_to_decide(
    numbers: Paired,
    *,
    level: float,
    table: float,
    margin: float,
    looks: Looks,
    confidence: float,
    min_blocks: int,
) -> int | None:
    """Return about how many blocks would decide an inconclusive comparison, if its ratio and spread
    stayed as they are; None if even ``MOST_BLOCKS`` would not: its gain lies at the margin, or it
    has no spread. ``level`` is the confidence of its interval, ``table`` the factor on p for the
    other comparisons of the table. Beyond the plan, looks are taken to be as strict as at its end.
    """
    if not numbers.has_spread:
        return None

    def decided(pairs: int) -> bool:
        look = min(pairs, max(looks.last, numbers.pairs))
        then = projected(numbers, level, pairs, looks.level(look, confidence))
        p = min(1.0, table * looks.p(then.p, look))
        return decide(then, p_adjusted=p, margin=margin, min_blocks=min_blocks) != "inconclusive"

    # More blocks make the interval narrower and p smaller, so a decided comparison stays decided.
    fewest = max(numbers.pairs + 1, min_blocks)
    count = bisect_left(range(fewest, MOST_BLOCKS + 1), True, key=decided) + fewest
    return count if count <= MOST_BLOCKS else None
