"""Read single facts from Python sources: routes, defaults of environment variables, versions."""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Sequence
from typing import NamedTuple

from patchbench.plan.facts.tree import Place, Tree, nodes

PYTHON_REQUIRED = re.compile(
    r"""^\s*(?:requires-python|python_requires)\s*=\s*["']([^"']+)["']""", re.MULTILINE
)


class Fact(NamedTuple):
    """A value with the line that says it."""

    value: str
    place: Place


def route(tree: Tree, files: Sequence[str], wanted: Sequence[str]) -> Fact | None:
    """Return the first of the wanted HTTP paths that a decorator of one of the files serves."""
    served: dict[str, Place] = {}
    for path in files:
        for name, line in _routes(tree.text(path) or "").items():
            served.setdefault(name, Place(path, line))
    return next((Fact(name, served[name]) for name in wanted if name in served), None)


@functools.lru_cache(maxsize=512)
def _routes(text: str) -> dict[str, int]:
    lines: dict[str, int] = {}
    for node in nodes(text):
        for decorator in getattr(node, "decorator_list", ()):
            if isinstance(decorator, ast.Call) and decorator.args:
                first = decorator.args[0]
                if isinstance(first, ast.Constant) and isinstance(first.value, str):
                    lines.setdefault(first.value, decorator.lineno)
    return lines


def environment_default(tree: Tree, path: str, name: str) -> Fact | None:
    """Return the default that a file gives an environment variable in ``os.getenv(NAME, DEFAULT)``
    or ``os.environ.get(NAME, DEFAULT)``; None if the file is absent or names no default."""
    default = _environment_default(tree.text(path) or "", name)
    return Fact(default[0], Place(path, default[1])) if default else None


@functools.lru_cache(maxsize=512)
def _environment_default(text: str, name: str) -> tuple[str, int] | None:
    for node in nodes(text) if name in text else ():
        if isinstance(node, ast.Call) and getattr(node.func, "attr", "") in ("getenv", "get"):
            values = [arg.value for arg in node.args if isinstance(arg, ast.Constant)]
            if len(values) == 2 and values[0] == name:
                return str(values[1]), node.lineno
    return None


def python_required(tree: Tree, files: Sequence[str]) -> Fact | None:
    """Return the Python versions that a package accepts (PEP 440 specifiers), from the first of the
    files that says so: ``requires-python`` of pyproject.toml, ``python_requires`` of setup.py."""
    for path in files:
        text = tree.text(path)
        if text and (match := PYTHON_REQUIRED.search(text)):
            return Fact(match[1], Place(path, text.count("\n", 0, match.start(1)) + 1))
    return None


def mentions(tree: Tree, files: Sequence[str], word: str) -> Fact | None:
    """Return the first line of the files that holds a word as a string literal."""
    for path in files:
        if line := _literal_line(tree.text(path) or "", word):
            return Fact(word, Place(path, line))
    return None


@functools.lru_cache(maxsize=512)
def _literal_line(text: str, word: str) -> int | None:
    literals = (node for node in nodes(text) if isinstance(node, ast.Constant))
    lines = (node.lineno for node in literals if node.value == word) if word in text else ()
    return min(lines, default=None)
