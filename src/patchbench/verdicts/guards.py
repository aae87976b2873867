"""Guards of every task: metrics that a gain must not be bought with, and costs measured from
outside."""

from __future__ import annotations

from collections.abc import Iterable

from patchbench.config import VerdictRules
from patchbench.records import GradedRun
from patchbench.verdicts.rule import Guard

# The loss of a cost that counts, as a relative change: launches differ more in these than in what
# a task measures, and a start that is a third longer is seldom missed by anyone.
LEAST_LOSS: dict[str, float] = {
    "startup_s": 0.5,
    "gpu_memory_peak_mib": 0.1,
    "joules_per_token": 0.1,
}
# A smaller loss than this is none, whatever share it is: a second, if the server starts in less.
LEAST_AMOUNT: dict[str, float] = {"startup_s": 1.0}
# Costs that are compared and shown, and decide nothing.
SHOWN = ("cpu_s",)
COSTS = (*LEAST_LOSS, *SHOWN)


def margin(metric: str, baseline: float, rules: VerdictRules) -> float:
    """Return the relative loss of a guard that counts: that of the rules for its metric, else that
    of the cost, else that of all guards."""
    if metric in rules.margins:
        return rules.margins[metric]
    amount = LEAST_AMOUNT.get(metric, 0.0)
    least = LEAST_LOSS.get(metric, rules.guard_margin)
    return max(least, amount / baseline if baseline > 0 else 0.0)


def worst(states: Iterable[Guard]) -> Guard:
    """Return the worst state of a patch's guards; held without any."""
    order: tuple[Guard, ...] = ("held", "open", "lost")
    return max(states, key=order.index, default="held")


def measured_costs(runs: Iterable[GradedRun]) -> list[str]:
    """Return the costs that some launch has a value of."""
    known = {name for run in runs for name in run.metrics}
    return [name for name in COSTS if name in known]
