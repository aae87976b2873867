"""The data set that a serving command means, also where it names none."""

from __future__ import annotations

from patchbench.plan.facts import arguments
from patchbench.plan.facts.source import Fact
from patchbench.plan.facts.tree import Place, Tree
from patchbench.plan.perf_command import Command, first_value
from patchbench.subject import FactSources

NAME, PATH = "--dataset-name", "--dataset-path"


def data_set(tree: Tree, sources: FactSources, command: Command) -> Fact | None:
    """Return the data set that has to be there for a serving command, with the line that says so:
    what the command names, else the default of its client's parser at the parent, else what that
    client meant before it had a choice. None for data that the client makes itself.
    """
    known = (source for source in sources.data if command.program.endswith(source.program))
    client = next(known, None)
    if client is None or command.type != "serving":
        return None
    place = Place("the task's command", 1)
    name = first_value(command.flags, NAME)
    path = first_value(command.flags, PATH, "--dataset")
    if name is None:
        argument = arguments.accepted(tree, [client.file]).get(NAME)
        if argument and isinstance(argument.default, str):
            name, place = argument.default, argument.place
        else:
            name, place = client.otherwise, argument.place if argument else Place(client.file, 1)
    if name in sources.generated or not name:
        return None
    return Fact(name if path is None else f"{name} ({path})", place)
