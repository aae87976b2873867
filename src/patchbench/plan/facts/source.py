"""Read single facts from Python sources: routes, defaults of environment variables, versions."""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence
from typing import NamedTuple

from patchbench.plan.facts.tree import Place, Tree

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
        module = tree.module(path)
        for node in ast.walk(module) if module else ():
            for decorator in getattr(node, "decorator_list", ()):
                if isinstance(decorator, ast.Call) and decorator.args:
                    first = decorator.args[0]
                    if isinstance(first, ast.Constant) and isinstance(first.value, str):
                        served.setdefault(first.value, Place(path, decorator.lineno))
    return next((Fact(name, served[name]) for name in wanted if name in served), None)


def environment_default(tree: Tree, path: str, name: str) -> Fact | None:
    """Return the default that a file gives an environment variable in ``os.getenv(NAME, DEFAULT)``
    or ``os.environ.get(NAME, DEFAULT)``; None if the file is absent or names no default."""
    module = tree.module(path)
    for node in ast.walk(module) if module else ():
        if not isinstance(node, ast.Call) or getattr(node.func, "attr", "") not in (
            "getenv",
            "get",
        ):
            continue
        values = [arg.value for arg in node.args if isinstance(arg, ast.Constant)]
        if len(values) == 2 and values[0] == name:
            return Fact(str(values[1]), Place(path, node.lineno))
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
        module = tree.module(path)
        for node in ast.walk(module) if module else ():
            if isinstance(node, ast.Constant) and node.value == word:
                return Fact(word, Place(path, node.lineno))
    return None
