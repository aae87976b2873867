"""The data set that a serving command means, also where it names none."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from patchbench.plan.facts import arguments
from patchbench.plan.facts.source import Fact
from patchbench.plan.facts.tree import Place, Tree
from patchbench.plan.perf_command import Command, first_value, split_flags
from patchbench.subject import DataSource, FactSources

NAME, PATH = "--dataset-name", "--dataset-path"


def client_of(sources: FactSources, command: Command) -> DataSource | None:
    """Return the serving client that a command names, or None if it is not described."""
    if command.type != "serving":
        return None
    known = (source for source in sources.data if command.program.endswith(source.program))
    return next(known, None)


def foreign_options(
    tree: Tree, sources: FactSources, command: Command, words: Sequence[str]
) -> Iterator[str]:
    """Yield the options among words for a serving client that the client which the command names
    does not have at the parent: the command never ran as it stands."""
    client = client_of(sources, command)
    known = arguments.accepted(tree, client.files) if client else {}
    if client and known:
        for flag in split_flags(words):
            if arguments.refusals({flag.name: ()}, known):
                yield f"{flag.name} is no option of {client.files[0]} at the parent"


def data_set(tree: Tree, sources: FactSources, command: Command) -> Fact | None:
    """Return the data set that has to be there for a serving command, with the line that says so:
    what the command names, else the default of its client's parser at the parent, else what that
    client meant before it had a choice. None for data that the client makes itself.
    """
    client = client_of(sources, command)
    if client is None:
        return None
    place = Place("the task's command", 1)
    name = first_value(command.flags, NAME)
    path = first_value(command.flags, PATH, "--dataset")
    if name is None:
        argument = arguments.accepted(tree, client.files).get(NAME)
        if argument and isinstance(argument.default, str):
            name, place = argument.default, argument.place
        else:
            name, place = (
                client.otherwise,
                argument.place if argument else Place(client.files[0], 1),
            )
    if name in sources.generated or not name:
        return None
    return Fact(name if path is None else f"{name} ({path})", place)
