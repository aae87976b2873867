"""Why a task can't be run here: one named reason each, the first that holds, with its fact.

The rules are pure questions in a table; what only people know (commits that are no performance
work, models that are gone, sizes, upstream bugs) is data of the subject (``known:``).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from patchbench.plan.perf_command import Command, first_value, gpus_needed
from patchbench.records import Exclusion
from patchbench.subject import Subject

# What stands where a value should: <model>, $MODEL, {model}.
PLACEHOLDER = re.compile(r"<[^>]*>|\$\{?\w+\}?|\{\w+\}|\.\.\.")
# Options that take a number: any word there was never filled in. (`--quantization FP8` is a value.)
NUMERIC = re.compile(r"--?.*(len|size|iters|prompts|rate|seed|tokens|seqs|warmup|warmups)(-\w+)?")
NUMBER = re.compile(r"[-+]?[\d.]+(e[-+]?\d+)?|inf", re.IGNORECASE)
NO_MODEL = ("unknown", "none", "null", "n/a", "todo", "")


# What a person can do about each reason.
ADVICE: dict[str, str] = {
    "not_a_perf_commit": "nothing: it is no performance work",
    "no_command": "give a perf_command in a task list",
    "unknown_benchmark": "describe that benchmark under the subject's clients",
    "placeholder_command": "give the command with its values in a list that comes first",
    "dead_model": "give a command with a model that can be had, in a list that comes first",
    "known_bug": "nothing here: that version can't run this benchmark",
    "needs_gpus": "raise max_gpus_per_task on a machine that has them",
    "parent_unresolved": "give the parent under parents:, or a clone of the subject to ask",
    "parent_unknown": "correct the parent in the lists, or fetch the clone anew",
    "commit_unknown": "give the whole hash, or fetch the clone anew",
}


class Asked(NamedTuple):
    """What is asked about: one task as far as its lists go."""

    commit: str
    text: str
    command: Command
    model: str | None
    subject: Subject
    max_gpus: int


def not_a_perf_commit(asked: Asked) -> str | None:
    """People looked at the commit and found no performance work in it."""
    for commit, why in asked.subject.known.not_perf_commits.items():
        if asked.commit.startswith(commit):
            return why
    return None


def no_command(asked: Asked) -> str | None:
    """No list has a benchmark command."""
    return None if asked.text.strip() else "no list gives a benchmark command"


def unknown_benchmark(asked: Asked) -> str | None:
    """The command runs a program that is none of the subject's benchmarks."""
    if asked.command.type is not None:
        return None
    known = [name for client in asked.subject.clients.values() for name in client.detect]
    return f"none of {', '.join(known)}: {asked.text}"


def placeholder_command(asked: Asked) -> str | None:
    """A value was never filled in, or no model is named at all."""
    for flag in asked.command.flags:
        for value in flag.values:
            own_name = value.isupper() and value == flag.name.strip("-").replace("-", "_").upper()
            no_number = NUMERIC.fullmatch(flag.name) and not NUMBER.fullmatch(value)
            if PLACEHOLDER.fullmatch(value) or own_name or (no_number and value.isupper()):
                return f"{flag.name} {value} is a placeholder: {asked.text}"
    if asked.model is None or asked.model.lower() in NO_MODEL:
        return f"no model is named: {asked.text}"
    return None


def dead_model(asked: Asked) -> str | None:
    """The model can't be had: known to be gone, or a path of somebody else's machine."""
    model = asked.model or ""
    if model in asked.subject.known.dead_models:
        return f"{model}: {asked.subject.known.dead_models[model]}"
    if model.startswith("/") and not Path(model).exists():
        return f"{model} is a path of another machine"
    return None


def known_bug(asked: Asked) -> tuple[str, str] | None:
    """An upstream bug of that version keeps this benchmark from running, whatever the patch."""
    for bug in asked.subject.known.bugs:
        hit = any(asked.commit.startswith(commit) for commit in bug.commits)
        if hit and (not bug.types or asked.command.type in bug.types):
            return bug.id, bug.why
    return None


def gpus(asked: Asked) -> tuple[int, str]:
    """GPUs that a task needs, and why: its flags, or its model's size where that is known."""
    by_flags = gpus_needed(asked.command.flags, asked.subject)
    best = (by_flags, f"its flags ask for {by_flags}: {asked.text}")
    for size in asked.subject.known.model_gpus:
        if asked.model and re.search(size.match, asked.model) and size.gpus > best[0]:
            best = (size.gpus, f"{asked.model}: {size.why}")
    return best


Rule = Callable[[Asked], str | None]
# In this order; needs_gpus comes after what no number of GPUs would mend.
RULES: tuple[tuple[str, Rule], ...] = (
    ("not_a_perf_commit", not_a_perf_commit),
    ("no_command", no_command),
    ("unknown_benchmark", unknown_benchmark),
    ("placeholder_command", placeholder_command),
    ("dead_model", dead_model),
)


def exclude(asked: Asked) -> Exclusion | None:
    """The first reason that holds, or None if the task can be run."""
    for reason, rule in RULES:
        if fact := rule(asked):
            return Exclusion(reason=reason, evidence=fact)
    if bug := known_bug(asked):
        return Exclusion(reason=f"known_bug:{bug[0]}", evidence=bug[1])
    needed, why = gpus(asked)
    if needed > asked.max_gpus:
        return Exclusion(
            reason=f"needs_gpus:{needed}", evidence=f"{why}; this campaign gives {asked.max_gpus}"
        )
    return None


def model_of(command: Command, listed: str | None) -> str | None:
    """The model that will run: the command's own, else the list's. What a list says against the
    command is a contradiction, shown elsewhere; the command is what people ran."""
    return first_value(command.flags, "--model") or listed
