"""The way of a campaign's tasks from the list to what can be measured, in steps."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator

from patchbench.plan.exclusions import ADVICE
from patchbench.records import Exclusion, Task

SHORT = 8  # characters of a commit
WIDTH = 150  # characters of evidence
# Each step, and the reasons of exclusions that end a task's way there.
STEPS: tuple[tuple[str, tuple[str, ...]], ...] = (
    (
        "are performance work with a usable command",
        ("not_a_perf_commit", "no_command", "unknown_benchmark", "placeholder_command"),
    ),
    ("ask for a model that can be had", ("dead_model",)),
    ("fit the GPUs of this campaign", ("needs_gpus",)),
    ("have a known parent", ("parent_unresolved", "parent_unknown", "commit_unknown")),
    (
        "have a command that is valid at the parent",
        (
            *("known_bug", "no_server", "no_benchmark", "no_readiness"),
            *("server_refuses_flag", "benchmark_refuses_flag"),
            *("load_not_expressible", "dummy_weights"),
        ),
    ),
    ("have a model that the parent's engine knows", ("model_too_new",)),
    ("execute the change of their own commit", ("human_not_exercised",)),
    ("have the data set that their command means", ("data_set_missing",)),
    ("have a patch of an agent", ("no_patch",)),
)


def kind(exclusion: Exclusion) -> str:
    """Return the reason of an exclusion without its value: needs_gpus of needs_gpus:4."""
    return exclusion.reason.partition(":")[0]


def lines(tasks: list[Task], *, cloned: bool, why: bool) -> Iterator[str]:
    """Yield the funnel: what is left after each step, and what ended there. ``why`` adds each
    excluded task's evidence. Steps that only a clone can decide are marked as open without one."""
    left = len(tasks)
    yield f"  {left:>3}  listed"
    for title, reasons in STEPS:
        ended = [task for task in tasks if task.exclusion and kind(task.exclusion) in reasons]
        left -= len(ended)
        asked = cloned or not {"no_server", "model_too_new", "human_not_exercised"} & {*reasons}
        yield f"  {left:>3}  {title}{'' if asked else ' (not asked: no clone)'}"
        groups: dict[str, list[Task]] = defaultdict(list)
        for task in ended:
            groups[task.exclusion.reason if task.exclusion else ""].append(task)
        for reason, group in sorted(groups.items(), key=lambda item: (-len(item[1]), item[0])):
            commits = " ".join(task.commit[:SHORT] for task in group)
            yield f"         - {len(group)} {reason}: {commits}"
            yield f"           next: {ADVICE[reason.partition(':')[0]]}"
            if why:
                yield from (
                    f"             {task.commit[:SHORT]} {task.exclusion.evidence[:WIDTH]}"
                    for task in group
                    if task.exclusion
                )


def data(tasks: list[Task]) -> Iterator[str]:
    """Yield the data sets that commands of tasks mean."""
    needed: dict[str, list[str]] = defaultdict(list)
    for task in tasks:
        if task.exclusion is None and task.facts and task.facts.data:
            needed[task.facts.data].append(task.commit[:SHORT])
    if needed:
        count = sum(map(len, needed.values()))
        yield f"\nData sets that {count} commands mean, also by default; none comes with this:"
    for name, commits in sorted(needed.items(), key=lambda item: -len(item[1])):
        yield f"  {len(commits):>3}  {name}: {' '.join(commits)}"


def engines(tasks: list[Task]) -> Iterator[str]:
    """Yield how many tasks run which version of the engine by default."""
    counted = Counter(t.facts.engine for t in tasks if t.exclusion is None and t.facts)
    named = [f"{engine} {count}" for engine, count in counted.most_common() if engine]
    if named:
        yield f"       engine by default: {', '.join(named)}"
