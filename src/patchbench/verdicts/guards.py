"""Guards of every task: costs that show with what a gain was bought, measured from outside."""

from __future__ import annotations

from collections.abc import Iterable

from patchbench.records import GradedRun

# The smallest loss that counts, as a relative change: launches differ more in these than in what
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


def margin(metric: str, baseline: float) -> float:
    """Return the relative change from which on a loss of a cost counts; 0 for other metrics."""
    amount = LEAST_AMOUNT.get(metric, 0.0)
    return max(LEAST_LOSS.get(metric, 0.0), amount / baseline if baseline > 0 else 0.0)


def measured_costs(runs: Iterable[GradedRun]) -> list[str]:
    """Return the costs that some launch has a value of."""
    known = {name for run in runs for name in run.metrics}
    return [name for name in COSTS if name in known]
