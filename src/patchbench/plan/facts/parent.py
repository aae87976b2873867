"""Gather the facts of one parent commit and name what keeps a workload from running there."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from patchbench.plan.facts import arguments, source
from patchbench.plan.facts.source import Fact
from patchbench.plan.facts.tree import Place, Tree
from patchbench.plan.perf_command import split_flags
from patchbench.records import Exclusion, ParentFacts
from patchbench.subject import BenchType, EngineSource, FactSources


class TreeFacts(NamedTuple):
    """What one parent's tree says, each with its line; None for what it lacks."""

    server: Place | None
    arguments: Mapping[str, arguments.Argument]
    ready: Fact | None
    python: Fact | None
    engine: Fact | None

    @property
    def record(self) -> ParentFacts:
        """The facts that later stages ask for."""
        named = {"engine": self.engine, "ready": self.ready, "python": self.python}
        known = {name: fact for name, fact in named.items() if fact is not None}
        return ParentFacts(
            **{name: fact.value for name, fact in known.items()},
            enabled=tuple(
                sorted(
                    name
                    for name, argument in self.arguments.items()
                    if argument.default is True and not _is_negation(name, argument)
                )
            ),
            places={name: str(fact.place) for name, fact in known.items()},
        )


def _is_negation(name: str, argument: arguments.Argument) -> bool:
    return name.startswith("--no-") and f"--{name.removeprefix('--no-')}" in argument.names


def facts_of(tree: Tree, sources: FactSources) -> TreeFacts:
    """Return the facts of a tree that has been read."""
    server = next((Place(path, 1) for path in sources.server if tree.has(path)), None)
    return TreeFacts(
        server,
        arguments.accepted(tree, sources.arguments),
        source.route(tree, sources.server, sources.ready),
        source.python_required(tree, sources.python),
        _engine(tree, sources.engine),
    )


def _engine(tree: Tree, engine: EngineSource | None) -> Fact | None:
    if engine is None:
        return None
    default = source.environment_default(tree, engine.file, engine.env)
    if default is None:
        return Fact(engine.otherwise, Place(engine.file, 1))
    return Fact(engine.names.get(default.value, engine.otherwise), default.place)


def server_obstacle(
    facts: TreeFacts, tree: Tree, sources: FactSources, words: Sequence[str]
) -> Exclusion | None:
    """Return the first fact that keeps the server from starting with these words of a command
    line: no server, no route that says when it is ready, an option that its parser refuses."""
    if facts.server is None:
        names = " or ".join(sources.server)
        return Exclusion(reason="no_server", evidence=f"the parent has no {names}")
    if facts.ready is None:
        wanted = ", ".join(sources.ready)
        return Exclusion(reason="no_readiness", evidence=f"{facts.server}: serves none of {wanted}")
    files = [path for path in sources.arguments if tree.has(path)]
    return _refusal("server_refuses_flag", facts.arguments, files, words)


def offline_obstacle(
    tree: Tree, sources: FactSources, type_: BenchType, words: Sequence[str]
) -> Exclusion | None:
    """Return the first fact that keeps an offline benchmark from starting with these words: no
    script, or an option that its parser refuses."""
    script, *_ = sources.offline.get(type_, ("",))
    if not script:
        return None
    if not tree.has(script):
        return Exclusion(reason="no_benchmark", evidence=f"the parent has no {script}")
    files = [path for path in sources.offline[type_] if tree.has(path)]
    return _refusal("benchmark_refuses_flag", arguments.accepted(tree, files), files, words)


def _refusal(
    reason: str,
    known: Mapping[str, arguments.Argument],
    files: Sequence[str],
    words: Sequence[str],
) -> Exclusion | None:
    options = {flag.name: flag.values for flag in split_flags(words)}
    refused = arguments.refusals(options, known)
    if not refused:
        return None
    shown = "; ".join(f"{refusal.word}: {refusal.why}" for refusal in refused)
    return Exclusion(reason=reason, evidence=f"{shown} (parser: {', '.join(files)})")


def model_obstacle(tree: Tree, sources: FactSources, model: str) -> Exclusion | None:
    """Return the fact that the engine does not know a model, or None if it may."""
    for need in sources.models:
        if re.search(need.match, model) and not source.mentions(tree, need.files, need.word):
            where = ", ".join(path for path in need.files if tree.has(path)) or need.files[0]
            evidence = f"{model}: {need.why}; no {need.word!r} in {where}"
            return Exclusion(reason="model_too_new", evidence=evidence)
    return None
