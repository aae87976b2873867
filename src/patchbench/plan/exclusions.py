"""Exclusions: the first named reason that keeps a task from being run, with its evidence.

The rules are pure functions in a table. Facts that only people know (commits without performance
work, models that are gone, sizes, upstream bugs) are data of the subject (``known:``).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from patchbench.plan.perf_command import Command, first_value, gpus_needed, split_flags
from patchbench.records import Exclusion
from patchbench.subject import Subject, Words

# Placeholders in the place of a value: <model>, $MODEL, {model}.
PLACEHOLDER = re.compile(r"<[^>]*>|\$\{?\w+\}?|\{\w+\}|\.\.\.")
# Options that take a number: a word there is a placeholder. (`--quantization FP8` is a value.)
NUMERIC = re.compile(r"--?.*(len|size|iters|prompts|rate|seed|tokens|seqs|warmup|warmups)(-\w+)?")
NUMBER = re.compile(r"[-+]?[\d.]+(e[-+]?\d+)?|inf", re.IGNORECASE)
# Options that name the model: vLLM's and SGLang's.
MODEL = ("--model", "--model-path")
NO_MODEL = ("unknown", "none", "null", "n/a", "todo", "")


# The next step for each reason.
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
    "no_server": "nothing: the parent is older than the engine's server",
    "no_benchmark": "nothing: the parent is older than that benchmark",
    "no_readiness": "name the route that tells when it is ready under the subject's facts.ready",
    "server_refuses_flag": "give options that version has, in a list that comes first",
    "benchmark_refuses_flag": "give options that version has, in a list that comes first",
    "model_too_new": "name a model of the same shape under model_substitutes",
    "human_not_exercised": "give a command that executes the commit's change, in a list that comes "
    "first",
    "load_not_expressible": "give a command without that option in a list that comes first, or "
    "measure: own",
    "dummy_weights": "give a command that loads weights in a list that comes first, or say "
    "answers: ignored there",
    "data_set_missing": "put the file where data_sets names it, or name a stand_in there",
    "commit_unknown": "give the whole hash, or fetch the clone anew",
    "no_patch": "add a patch, or say tasks_without_patches: measure, which launches baseline and "
    "human alone",
}


class TaskFacts(NamedTuple):
    """One task as its lists have it; ``text`` is its command."""

    commit: str
    text: str
    command: Command
    model: str | None
    subject: Subject
    max_gpus: int


def not_a_perf_commit(facts: TaskFacts) -> str | None:
    """Return why the commit is known to hold no performance work."""
    for commit, why in facts.subject.known.not_perf_commits.items():
        if facts.commit.startswith(commit):
            return why
    return None


def no_command(facts: TaskFacts) -> str | None:
    """Return a reason if no list has a benchmark command."""
    return None if facts.text.strip() else "no list gives a benchmark command"


def unknown_benchmark(facts: TaskFacts) -> str | None:
    """Return a reason if the command runs none of the subject's benchmarks."""
    if facts.command.type is not None:
        return None
    known = [name for client in facts.subject.clients.values() for name in client.detect]
    return f"none of {', '.join(known)}: {facts.text}"


def placeholder_command(facts: TaskFacts) -> str | None:
    """Return the first placeholder among the values, or that no model is named."""
    for flag in facts.command.flags:
        for value in flag.values:
            own_name = value.isupper() and value == flag.name.strip("-").replace("-", "_").upper()
            no_number = NUMERIC.fullmatch(flag.name) and not NUMBER.fullmatch(value)
            if PLACEHOLDER.fullmatch(value) or own_name or (no_number and value.isupper()):
                return f"{flag.name} {value} is a placeholder: {facts.text}"
    if facts.model is None or facts.model.lower() in NO_MODEL:
        return f"no model is named: {facts.text}"
    return None


def dead_model(facts: TaskFacts) -> str | None:
    """Return why the model can't be had: known to be gone, or a path of another machine."""
    model = facts.model or ""
    if model in facts.subject.known.dead_models:
        return f"{model}: {facts.subject.known.dead_models[model]}"
    if model.startswith("/") and not Path(model).exists():
        return f"{model} is a path of another machine"
    return None


def known_bug(facts: TaskFacts) -> tuple[str, str] | None:
    """Return id and text of an upstream bug that stops this benchmark at this commit."""
    for bug in facts.subject.known.bugs:
        hit = any(facts.commit.startswith(commit) for commit in bug.commits)
        if hit and (not bug.types or facts.command.type in bug.types):
            return bug.id, bug.why
    return None


def gpus(facts: TaskFacts) -> tuple[int, str]:
    """Return the GPUs that a task needs, and why: its flags, or the known size of its model."""
    by_flags = gpus_needed(facts.command.flags, facts.subject)
    best = (by_flags, f"its flags ask for {by_flags}: {facts.text}")
    for size in facts.subject.known.model_gpus:
        if facts.model and re.search(size.match, facts.model) and size.gpus > best[0]:
            best = (size.gpus, f"{facts.model}: {size.why}")
    return best


Rule = Callable[[TaskFacts], str | None]
# In this order; needs_gpus comes last, for more GPUs would not mend the others.
RULES: tuple[tuple[str, Rule], ...] = (
    ("not_a_perf_commit", not_a_perf_commit),
    ("no_command", no_command),
    ("unknown_benchmark", unknown_benchmark),
    ("placeholder_command", placeholder_command),
    ("dead_model", dead_model),
)


def exclude(facts: TaskFacts) -> Exclusion | None:
    """Return the first reason that holds, or None if the task can be run."""
    for reason, rule in RULES:
        if fact := rule(facts):
            return Exclusion(reason=reason, evidence=fact)
    if bug := known_bug(facts):
        return Exclusion(reason=f"known_bug:{bug[0]}", evidence=bug[1])
    needed, why = gpus(facts)
    if needed > facts.max_gpus:
        return Exclusion(
            reason=f"needs_gpus:{needed}", evidence=f"{why}; this campaign gives {facts.max_gpus}"
        )
    return None


def model_of(command: Command, listed: str | None) -> str | None:
    """Return the command's model, else the list's. If both differ, the command counts, and the
    task gets a note (``tasks.notes``)."""
    return first_value(command.flags, *MODEL) or listed


def dummy_weights(server_args: Words, subject: Subject) -> str | None:
    """Return the option by which a server runs without weights. Its answers repeat one token, so
    no check can tell right ones from wrong ones."""
    flags = split_flags((*subject.server.command[1:], *server_args))
    if first_value(flags, "--load-format") == "dummy":
        return "--load-format dummy: without weights no answer can be checked"
    return None
