"""Say which changed files a workload can execute, from the files' paths and the workload's facts.

A rule names files and a condition under which the engine runs them: a hardware backend, a version
of the engine, a server flag, an environment variable, a model family, a feature that requests ask
for. A file without a rule is reachable. Rules are data of the subject; they speak of paths, so what
a flag switches inside one file only a traced launch can tell.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

# Words of a path: "vllm/v1/engine/output_processor.py" has no word "tpu".
BOUNDARY = re.compile(r"[/_.\-]")


class ReachRule(NamedTuple):
    """Files by words of their path or by globs, and one condition.

    ``needs`` maps a condition's name to the values of which one must hold: ``backend: [rocm]``,
    ``engine: [V1]``, ``flag: [--use-v2-block-manager]``, ``feature: [guided_decoding]``,
    ``model: ["Qwen2-VL*"]`` (globs on the model's name), ``env: [NAME=VALUE]``.
    """

    needs: Mapping[str, Sequence[str]]
    words: Sequence[str] = ()
    paths: Sequence[str] = ()
    why: str = ""


class Conditions(NamedTuple):
    """What holds when the workload runs."""

    backend: str = ""
    engine: str = ""
    flags: frozenset[str] = frozenset()
    features: frozenset[str] = frozenset()
    model: str = ""
    env: Mapping[str, str] = {}


def words_of(path: str) -> frozenset[str]:
    """Return the words of a path, split at slashes, underscores, dots and hyphens."""
    return frozenset(word for word in BOUNDARY.split(path.lower()) if word)


def applies(rule: ReachRule, path: str) -> bool:
    """Return True if the rule speaks of the file."""
    return not words_of(path).isdisjoint(rule.words) or any(
        fnmatch.fnmatchcase(path, glob) for glob in rule.paths
    )


def holds(name: str, wanted: Sequence[str], given: Conditions) -> bool:
    """Return True if one of the wanted values of a condition is given.

    Raises ValueError for a condition that no workload has.
    """
    match name:
        case "backend" | "engine":
            actual = getattr(given, name)
            return not actual or actual in wanted
        case "flag":
            return not given.flags.isdisjoint(wanted)
        case "feature":
            return not given.features.isdisjoint(wanted)
        case "model":
            return any(fnmatch.fnmatchcase(given.model, f"*{glob}") for glob in wanted)
        case "env":
            return any(f"{key}={value}" in wanted for key, value in given.env.items())
    raise ValueError(f"reach: unknown condition {name!r}")


def unreached_by(path: str, rules: Sequence[ReachRule], given: Conditions) -> str | None:
    """Return why the workload never executes a file, or None if it may."""
    for rule in rules:
        if not applies(rule, path):
            continue
        for name, wanted in rule.needs.items():
            if not holds(name, wanted, given):
                actual = _actual(name, given)
                why = f" ({rule.why})" if rule.why else ""
                return f"{path} runs only with {name} {' or '.join(wanted)}, here {actual}{why}"
    return None


def _actual(name: str, given: Conditions) -> str:
    match name:
        case "backend" | "engine" | "model":
            return str(getattr(given, name)) or "unknown"
        case "flag":
            return " ".join(sorted(given.flags)) or "no such flag"
        case "feature":
            return " ".join(sorted(given.features)) or "no request asks for it"
    return "not set"


class Reach(NamedTuple):
    """A change's files by reachability; each unreached one with its reason."""

    reached: tuple[str, ...]
    unreached: Mapping[str, str]

    @property
    def possible(self) -> bool:
        """Return True if the workload can execute at least one changed file."""
        return bool(self.reached)


def reach(files: Sequence[str], rules: Sequence[ReachRule], given: Conditions) -> Reach:
    """Return which of a change's engine files the workload can execute."""
    reasons = {path: unreached_by(path, rules, given) for path in files}
    return Reach(
        tuple(path for path, why in reasons.items() if why is None),
        {path: why for path, why in reasons.items() if why is not None},
    )
