"""Read which command-line arguments a program accepts from the source of its parser.

Every engine builds its parser with argparse calls (``add_argument``) on literal names, in one to
three files; reading them takes milliseconds where starting the program takes half a minute and an
image. Arguments that are added with computed names are not seen.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from patchbench.plan.facts.tree import Place, Tree

# Actions of argparse that take no value (docs.python.org, argparse, "action").
VALUELESS = ("store_true", "store_false", "store_const", "append_const", "count", "help", "version")


class Argument(NamedTuple):
    """One accepted argument: all its names, its literal choices and default, where it stands."""

    names: tuple[str, ...]
    place: Place
    takes_value: bool = True
    choices: tuple[str, ...] = ()
    default: object = None
    required: bool = False


class Refusal(NamedTuple):
    """A word that the parser refuses, and why."""

    word: str
    why: str


def accepted(tree: Tree, files: Sequence[str]) -> dict[str, Argument]:
    """Return the accepted arguments by name, from the parser's files that the commit has."""
    arguments: dict[str, Argument] = {}
    for path in files:
        module = tree.module(path)
        for argument in _arguments(module, path) if module else ():
            for name in argument.names:
                arguments.setdefault(name, argument)
    return arguments


def _arguments(module: ast.Module, path: str) -> Iterator[Argument]:
    for node in ast.walk(module):
        if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "add_argument":
            values = [word.value for word in node.args if isinstance(word, ast.Constant)]
            names = [str(value) for value in values if str(value).startswith("-")]
            if names:
                yield _argument(tuple(names), node, path)


def _argument(names: tuple[str, ...], call: ast.Call, path: str) -> Argument:
    options = {keyword.arg: keyword.value for keyword in call.keywords if keyword.arg}
    action = _literal(options.get("action"))
    boolean = isinstance(options.get("action"), ast.Attribute | ast.Name)
    if boolean:  # BooleanOptionalAction and engines' own flag actions accept --no-NAME too
        long = [name for name in names if name.startswith("--")]
        names = (*names, *(f"--no-{name[2:]}" for name in long))
    choices = _literal(options.get("choices"))
    return Argument(
        names,
        Place(path, call.lineno),
        takes_value=not boolean and action not in VALUELESS,
        choices=tuple(map(str, choices)) if isinstance(choices, list | tuple) else (),
        default=_literal(options.get("default")),
        required=_literal(options.get("required")) is True,
    )


def _literal(node: ast.expr | None) -> object:
    """Return a literal's value, or None for an expression that only running can evaluate."""
    if node is None:
        return None
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError):
        return None


def refusals(flags: Mapping[str, Sequence[str]], known: Mapping[str, Argument]) -> list[Refusal]:
    """Return the flags that the parser refuses: unknown names, and values beyond its choices.

    argparse also accepts an unambiguous prefix of a long name; so does this.
    """
    refused = []
    for name, values in flags.items():
        argument = known.get(name) or _by_prefix(name, known)
        if argument is None:
            refused.append(Refusal(name, "the parser knows no such argument"))
            continue
        for value in values if argument.choices else ():
            if value not in argument.choices:
                names = ", ".join(argument.choices)
                refused.append(Refusal(f"{name} {value}", f"{argument.place}: choices are {names}"))
    return refused


def _by_prefix(name: str, known: Mapping[str, Argument]) -> Argument | None:
    """Return the only argument that a shortened long name can mean."""
    if not name.startswith("--"):
        return None
    hits = {id(argument): argument for full, argument in known.items() if full.startswith(name)}
    return next(iter(hits.values())) if len(hits) == 1 else None
