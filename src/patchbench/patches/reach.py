"""Which changed files a workload can execute, from the files' paths and the workload's facts.

Rules are data of the subject (``reach:``). A file without a rule is executed as far as is known.
Rules speak of paths: only a traced launch tells which lines inside a file are executed.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from patchbench.patches.path_patterns import matches
from patchbench.records import Task
from patchbench.subject import Need, ReachRule

# Words of a path: "vllm/v1/engine/output_processor.py" has no word "tpu".
BOUNDARY = re.compile(r"[/_.\-]")
FLAG = re.compile(r"--?[a-zA-Z].*")


class Conditions(NamedTuple):
    """What holds while a workload runs. ``flags`` are options, alone and with their value. An
    empty backend or engine is not known, and rules about it never apply. ``engine_from`` is the
    line or setting that decides the engine."""

    backend: str = ""
    engine: str = ""
    engine_from: str = ""
    flags: frozenset[str] = frozenset()
    model: str = ""
    env: Mapping[str, str] = {}


class Reach(NamedTuple):
    """A change's files: those that may be executed, and the others with the reason of each."""

    reached: tuple[str, ...]
    unreached: Mapping[str, str]
    plumbing: tuple[str, ...] = ()

    @property
    def possible(self) -> bool:
        """True unless there are files that are never executed and none that may be. Settings that
        are passed on to such files don't count."""
        return bool(self.reached) or not self.unreached


def conditions(task: Task) -> Conditions:
    """Return what holds while a task's workload runs, as far as it is known."""
    subject, workload, facts = task.subject, task.workload, task.facts
    args = (*workload.server_args, *workload.client_args) if workload else ()
    env = {**subject.env, **(workload.env if workload else {})}
    model = workload.model if workload else ""
    flags = with_values(args) | frozenset(facts.enabled if facts else ())
    return Conditions(subject.backend, *_engine(task, model, env), flags, model, env)


def _engine(task: Task, model: str, env: Mapping[str, str]) -> tuple[str, str]:
    """Return the engine version that a workload runs, and what decides it: its environment, else
    the parent's default; both empty if that is not known, or may differ for the model."""
    source = task.subject.facts.engine if task.subject.facts else None
    if source and source.env in env:
        return source.names.get(env[source.env], ""), f"{source.env}={env[source.env]}"
    engine = task.facts.engine if task.facts else ""
    falls_back = source and source.undecided and engine != source.otherwise
    if not engine or (source and falls_back and re.search(source.undecided, model)):
        return "", ""
    return engine, task.facts.places.get("engine", "") if task.facts else ""


def with_values(words: Sequence[str]) -> frozenset[str]:
    """Return the options among words of a command line, alone and each with its first value."""
    pairs = zip(words, (*words[1:], ""), strict=False)
    options = [(word, value) for word, value in pairs if FLAG.fullmatch(word)]
    return frozenset(text for word, value in options for text in (word, f"{word} {value}"))


def words_of(path: str) -> frozenset[str]:
    """Return the words of a path, split at slashes, underscores, dots and hyphens."""
    return frozenset(word for word in BOUNDARY.split(path.lower()) if word)


def applies(rule: ReachRule, path: str) -> bool:
    """Return True if the rule speaks of the file."""
    hit = not words_of(path).isdisjoint(rule.words) or matches(path, rule.paths)
    return hit and not matches(path, rule.spared)


def holds(need: Need, wanted: Sequence[str], given: Conditions) -> bool:
    """Return True if one of the wanted values of a condition is given, or may be."""
    match need:
        case "backend":
            return not given.backend or given.backend in wanted
        case "engine":
            return not given.engine or given.engine in wanted
        case "flag":
            return not given.flags.isdisjoint(wanted)
        case "model":
            return not given.model or any(_is_model(given.model, glob) for glob in wanted)
        case "env":
            return any(f"{key}={value}" in wanted for key, value in given.env.items())


def _is_model(model: str, glob: str) -> bool:
    return fnmatch.fnmatchcase(model.lower(), f"*{glob.lower()}")


def unreached_by(path: str, rules: Sequence[ReachRule], given: Conditions) -> str | None:
    """Return the reason why the workload never executes a file, or None if it may."""
    for rule in rules:
        if applies(rule, path) and not any(holds(*need, given) for need in rule.needs.items()):
            wanted = " or ".join(f"{need} {' or '.join(of)}" for need, of in rule.needs.items())
            here = ", ".join(_actual(need, of, given) for need, of in rule.needs.items())
            why = f" ({rule.why})" if rule.why else ""
            return f"{path} runs only with {wanted}, here {here}{why}"
    return None


def _actual(need: Need, wanted: Sequence[str], given: Conditions) -> str:
    """Return what is given in place of what a condition wants."""
    match need:
        case "backend" | "model":
            return str(getattr(given, need))
        case "engine":
            return f"{given.engine} ({given.engine_from})" if given.engine_from else given.engine
        case "flag":
            return "not given"
        case "env":
            return _values(wanted, given)


def _values(wanted: Sequence[str], given: Conditions) -> str:
    names = dict.fromkeys(text.partition("=")[0] for text in wanted)
    return ", ".join(f"{name}={given.env[name]}" for name in names if name in given.env) or "unset"


def reach(
    files: Sequence[str],
    rules: Sequence[ReachRule],
    given: Conditions,
    plumbing: Sequence[str] = (),
) -> Reach:
    """Return which of a change's files the workload can execute."""
    passing = tuple(path for path in files if matches(path, plumbing))
    reasons = {path: unreached_by(path, rules, given) for path in files if path not in passing}
    return Reach(
        tuple(path for path, why in reasons.items() if why is None),
        {path: why for path, why in reasons.items() if why is not None},
        passing,
    )


def reach_of(files: Sequence[str], task: Task) -> Reach:
    """Return which of a change's files a task's workload can execute."""
    return reach(files, task.subject.reach, conditions(task), task.subject.plumbing)
