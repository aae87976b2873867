"""From a comparison to one word. The rule is data and small questions, in the order of the page
docs/verdicts.md: suspicious, wrong output, trade-off, faster, slower, same, else inconclusive."""

from __future__ import annotations

from typing import Literal

from patchbench.statistics import Paired

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

# The mark of a verdict in dense tables.
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


def is_implausible(found: Paired, human: Paired | None, *, most: float, times_human: float) -> bool:
    """Too good to be counted unseen: a huge ratio, or a gain of many times the human's."""
    if found.ratio > most:
        return True
    if human is None or human.ratio <= 1.05 or found.ratio <= 1:
        return False
    return (found.ratio - 1) > times_human * (human.ratio - 1)


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
    implausible: bool,
    guard_lost: bool,
) -> Verdict:
    """The word for one comparison of an arm with the baseline."""
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
