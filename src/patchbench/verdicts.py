"""From a comparison to one word. The rule is data and small questions, in the order of the page
docs/verdicts.md: suspicious, trade-off, faster, slower, same, else inconclusive."""

from __future__ import annotations

from typing import Literal

from patchbench.statistics.paired import Paired

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

# The mark of a verdict in dense tables, and the one beside it of a gain that a person should see.
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


def is_faster(found: Paired, p_adjusted: float, floor: float) -> bool:
    """The interval lies above 1, the gain exceeds the floor, and the table-wide test agrees."""
    return found.low > 1 and found.ratio >= 1 + floor and p_adjusted < SIGNIFICANT


def is_slower(found: Paired, p_adjusted: float, floor: float) -> bool:
    """The mirror image of faster."""
    return found.high < 1 and found.ratio <= 1 / (1 + floor) and p_adjusted < SIGNIFICANT


def is_same(found: Paired, floor: float) -> bool:
    """The whole interval lies within the floor."""
    return found.low >= 1 / (1 + floor) and found.high <= 1 + floor


def review(found: Paired, human: Paired | None, *, over: float, times_human: float) -> str | None:
    """Why a person should look at a gain before it is quoted, or None. ``human`` is the human's
    comparison if its gain was reproduced: a gain that it explains is not strange."""
    if human is not None and found.ratio - 1 > times_human * (human.ratio - 1):
        return f"{(found.ratio - 1) / (human.ratio - 1):.1f} times the human's gain"
    if found.ratio > over and (human is None or found.ratio > human.high):
        return f"over {over:g}x"
    return None


def at_least_human(found: Paired, floor: float) -> bool:
    """Not worse than the human's commit by more than the floor: the interval of arm over human
    lies above 1 / (1 + floor)."""
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
    """The word for one comparison of an arm with a reference."""
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
