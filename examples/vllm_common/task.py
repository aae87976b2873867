"""A task of a subject that is made out of a release."""

from collections.abc import Callable
from dataclasses import dataclass

Edit = Callable[[str], str]
# What happens to each file that a change touches; None takes the file away.
Change = dict[str, Edit | None]


@dataclass(frozen=True)
class Task:
    """One optimisation: how it is taken out, what the agents did, and what measures it. `agents`
    are changes of the baseline; without `guard_metrics` those of the benchmark type guard.
    `upstream` is the pull request that brought it, if there is one; `listed` is the task list
    (LISTED.yaml) that it stands in; answers that are `ignored` are not checked."""

    branch: str
    title: str
    before: str
    removal: Change
    agents: dict[str, Change]
    perf_command: str
    primary_metric: str
    guard_metrics: tuple[str, ...] | None = None
    upstream: int | None = None
    listed: str = "tasks"
    answers: str = "checked"
