"""Noise and costs of finished launches, by task and metric: what a plan rests on.

The pilot of a campaign is what it has measured so far, or an earlier campaign on the same machine
with the same subject.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from patchbench.grading.default_noise import default_costs, default_noise
from patchbench.grading.launch_noise import Costs, Noise
from patchbench.grading.launch_value import launch_value
from patchbench.grading.noise_estimate import Squares, costs_of, pooled, squares_of
from patchbench.records import GradedRun, Record, Task

# With fewer degrees of freedom a task's own launches say too little about their noise.
ENOUGH, FEW = 8, 4


class PilotTask(Record, frozen=True, kw_only=True):
    """What the launches of one task say: sums of squares of its primary metric, mean costs."""

    commit: str
    subject: str
    type: str
    metric: str
    squares: Squares
    costs: Costs
    machine: str


class Known(NamedTuple):
    """Noise and costs that a plan takes for a task, and where each comes from: ``own`` launches,
    ``others`` of the same subject, benchmark type and metric, or ``default``."""

    noise: Noise
    costs: Costs
    noise_from: str
    costs_from: str

    @property
    def is_default(self) -> bool:
        """Return True if any figure is a default."""
        return "default" in (self.noise_from, self.costs_from)


class Pilot(Record, frozen=True, kw_only=True):
    """Finished launches of a campaign, task by task."""

    tasks: tuple[PilotTask, ...] = ()

    @property
    def machines(self) -> tuple[str, ...]:
        """Return the machines that it was measured on."""
        return tuple(dict.fromkeys(task.machine for task in self.tasks))

    def known(self, task: Task) -> Known:
        """Return the noise and the costs to plan a task with: from its own launches if they
        suffice, else pooled with tasks of its kind, else defaults."""
        workload = task.workload
        fallback = default_noise(task.primary_metric)
        like = [
            other
            for other in self.tasks
            if workload is not None
            and (other.subject, other.type) == (task.subject.name, workload.type)
        ]
        own = [other for other in like if other.commit == task.commit]
        noise, noise_from = fallback, "default"
        for name, among, least in (("own", own, ENOUGH), ("others", like, FEW)):
            squares = pooled(o.squares for o in among if o.metric == task.primary_metric)
            if squares.between_freedom >= least and (found := squares.noise(fallback)):
                noise, noise_from = found, name
                break
        if own:
            return Known(noise, own[0].costs, noise_from, "own")
        if like:
            return Known(noise, _mean([other.costs for other in like]), noise_from, "others")
        load = workload.load if workload else None
        return Known(noise, default_costs(load), noise_from, "default")


def pilot_of(measured: Iterable[tuple[Task, Iterable[GradedRun]]]) -> Pilot:
    """Return the pilot from tasks with their graded launches."""
    return Pilot(tasks=tuple(_tasks(measured)))


def _tasks(measured: Iterable[tuple[Task, Iterable[GradedRun]]]) -> Iterator[PilotTask]:
    for task, graded in measured:
        runs = list(graded)
        if task.workload is None or (costs := costs_of(runs)) is None:
            continue
        yield PilotTask(
            commit=task.commit,
            subject=task.subject.name,
            type=task.workload.type,
            metric=task.primary_metric,
            squares=squares_of(runs, task.primary_metric),
            costs=costs,
            machine=_machine(runs),
        )


def _machine(runs: Iterable[GradedRun]) -> str:
    facts = (run.provenance for run in runs if run.status == "measured")
    first = next(facts, {})
    return first.get("gpu_model") or first.get("host", "")


def _mean(costs: list[Costs]) -> Costs:
    return Costs(
        start=launch_value([cost.start for cost in costs]),
        window=launch_value([cost.window for cost in costs]),
    )
