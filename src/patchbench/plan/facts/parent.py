"""Gather the facts of one parent commit and say what keeps a workload from running there."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from patchbench.plan.facts import arguments, source
from patchbench.plan.facts.source import Fact
from patchbench.plan.facts.tree import Place, Tree
from patchbench.records import Exclusion


class EngineSource(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which engine version a tree runs by default: the default of an environment variable."""

    env: str
    file: str
    names: dict[str, str]
    otherwise: str


class ModelNeed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Models (a regular expression on the name) that need a word in one of the engine's files."""

    match: str
    word: str
    files: tuple[str, ...]
    why: str


class FactSources(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where a subject's tree tells what; one list holds the places of all its releases."""

    server: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ()
    ready: tuple[str, ...] = ("/health", "/v1/models")
    python: tuple[str, ...] = ("pyproject.toml", "setup.py")
    engine: EngineSource | None = None
    models: tuple[ModelNeed, ...] = ()

    @property
    def files(self) -> tuple[str, ...]:
        """Return every file that some fact is read from, once each."""
        engine = (self.engine.file,) if self.engine else ()
        models = [path for need in self.models for path in need.files]
        return tuple(dict.fromkeys((*self.server, *self.arguments, *self.python, *engine, *models)))


class ParentFacts(NamedTuple):
    """What one parent's tree says; None for what it lacks."""

    server: Place | None
    arguments: Mapping[str, arguments.Argument]
    ready: Fact | None
    python: Fact | None
    engine: Fact | None


def gather(repo: Path, commit: str, sources: FactSources) -> tuple[ParentFacts, Tree]:
    """Return a commit's facts, and its tree for further questions.

    Raises git.GitError if the repository does not know the commit.
    """
    tree = Tree.of_commit(repo, commit, sources.files)
    return facts_of(tree, sources), tree


def facts_of(tree: Tree, sources: FactSources) -> ParentFacts:
    """Return the facts of a tree that has been read."""
    server = next((Place(path, 1) for path in sources.server if tree.has(path)), None)
    return ParentFacts(
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


def obstacle(
    facts: ParentFacts,
    tree: Tree,
    sources: FactSources,
    flags: Mapping[str, Sequence[str]],
    model: str,
) -> Exclusion | None:
    """Return the first fact that keeps the server from running this workload at this parent, or
    None: no server, a flag that its parser refuses, a model that it does not know, no route that
    says when it is ready."""
    if facts.server is None:
        names = " or ".join(sources.server)
        return Exclusion(reason="no_server", evidence=f"the parent has no {names}")
    if refused := arguments.refusals(flags, facts.arguments):
        shown = "; ".join(f"{refusal.word}: {refusal.why}" for refusal in refused)
        where = ", ".join(path for path in sources.arguments if tree.has(path))
        return Exclusion(reason="server_refuses_flag", evidence=f"{shown} (parser: {where})")
    for need in sources.models:
        if re.search(need.match, model) and not source.mentions(tree, need.files, need.word):
            where = ", ".join(path for path in need.files if tree.has(path)) or need.files[0]
            evidence = f"{model}: {need.why}; no {need.word!r} in {where}"
            return Exclusion(reason="model_too_new", evidence=evidence)
    if facts.ready is None:
        wanted = ", ".join(sources.ready)
        return Exclusion(reason="no_readiness", evidence=f"{facts.server}: serves none of {wanted}")
    return None
