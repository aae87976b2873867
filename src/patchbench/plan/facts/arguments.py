"""Read which command-line arguments a program accepts from the source of its parser.

Every engine builds its parser with argparse calls (``add_argument``) on literal names, in one to
three files; reading them takes milliseconds where starting the program takes half a minute and an
image. Of computed names those are seen that a loop makes from the fields of a dataclass in the same
file (``add_argument(f"--{key}")``).
"""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from patchbench.plan.facts.tree import Place, Tree, nodes

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


def defaults(known: Mapping[str, Argument], names: Iterable[str]) -> dict[str, str | None]:
    """Return a parser's literal defaults of options, None for those that it does not have. Of a
    parser that could not be read nothing is known."""
    values: dict[str, str | None] = {}
    for name in names if known else ():
        argument = known.get(name)
        if argument is None:
            values[name] = None
        elif isinstance(argument.default, int | float | str):
            values[name] = str(argument.default)
    return values


class Refusal(NamedTuple):
    """A word that the parser refuses, and why."""

    word: str
    why: str


def accepted(tree: Tree, files: Sequence[str]) -> dict[str, Argument]:
    """Return the accepted arguments by name, from the parser's files that the commit has."""
    arguments: dict[str, Argument] = {}
    for path in files:
        text = tree.text(path)
        for argument in _arguments(text, path) if text else ():
            for name in argument.names:
                arguments.setdefault(name, argument)
    return arguments


@functools.lru_cache(maxsize=512)
def _arguments(text: str, path: str) -> tuple[Argument, ...]:
    """Return the arguments that a file adds; neighbouring parents share most files."""
    all_nodes = nodes(text)
    classes = (node for node in all_nodes if isinstance(node, ast.ClassDef))
    fields = [field for node in classes for field in _fields(node, path)]
    defaults = {field.names[0]: field.default for field in fields}
    found, computed = [], False
    for node in all_nodes:
        if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "add_argument":
            values = [word.value for word in node.args if isinstance(word, ast.Constant)]
            names = [str(value) for value in values if str(value).startswith("-")]
            computed = computed or any(isinstance(word, ast.JoinedStr) for word in node.args)
            if names:
                found.append(_argument(tuple(names), node, path, defaults))
    return (*found, *(fields if computed else ()))


def _fields(node: ast.ClassDef, path: str) -> list[Argument]:
    """Return the arguments that the fields of a dataclass stand for, none of another class."""
    if not any("dataclass" in ast.unparse(decorator) for decorator in node.decorator_list):
        return []
    named = [
        (field, field.target.id)
        for field in node.body
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
    ]
    return [
        Argument(
            (f"--{name.replace('_', '-')}",),
            Place(path, field.lineno),
            takes_value=ast.unparse(field.annotation) != "bool",
            default=_literal(field.value),
        )
        for field, name in named
    ]


def _argument(
    names: tuple[str, ...], call: ast.Call, path: str, fields: Mapping[str, object]
) -> Argument:
    """Return one call's argument. Its default may be a field of a dataclass (``Args.name``)."""
    options = {keyword.arg: keyword.value for keyword in call.keywords if keyword.arg}
    action = _literal(options.get("action"))
    boolean = isinstance(options.get("action"), ast.Attribute | ast.Name)
    if boolean:  # BooleanOptionalAction and engines' own flag actions accept --no-NAME too
        long = [name for name in names if name.startswith("--")]
        names = (*names, *(f"--no-{name[2:]}" for name in long))
    choices = _literal(options.get("choices"))
    default = options.get("default")
    if isinstance(default, ast.Attribute):
        value = fields.get(f"--{default.attr.replace('_', '-')}")
    else:
        value = _literal(default)
    return Argument(
        names,
        Place(path, call.lineno),
        takes_value=not boolean and action not in VALUELESS,
        choices=tuple(map(str, choices)) if isinstance(choices, list | tuple) else (),
        default=value,
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
