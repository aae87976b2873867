"""What must hold in every Python from 3.11 on, whichever one runs the tests."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("src", "workflow/scripts", "benchmarks", "examples")
SOURCES = sorted(
    path
    for folder in FOLDERS
    for path in (ROOT / folder).rglob("*.py")
    if "history" not in path.parts
)

Comprehension = ast.ListComp | ast.SetComp | ast.DictComp
Function = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda


def clashes(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Loop variables of comprehensions that the same function also reads as a global name.

    Python 3.12.0 to 3.12.3 makes a comprehension within another a part of the function around it,
    and may then take the global name for the loop variable: UnboundLocalError.
    """
    known = {name for node in tree.body for name in _defined(node)}
    for function in (node for node in ast.walk(tree) if isinstance(node, Function)):
        bound: set[str] = set()
        read: set[str] = set()
        for child in ast.iter_child_nodes(function):
            _collect(child, frozenset(), bound, read)
        for name in sorted(bound & read & known):
            yield function.lineno, name


def _collect(node: ast.AST, loops: frozenset[str], bound: set[str], read: set[str]) -> None:
    """Names that comprehensions bind, and names read where no comprehension binds them."""
    if isinstance(node, Function | ast.ClassDef):
        return
    if isinstance(node, Comprehension):
        own = {name for each in node.generators for name in _stored(each.target)}
        bound |= own
        loops |= own
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id not in loops:
        read.add(node.id)
    for child in ast.iter_child_nodes(node):
        _collect(child, loops, bound, read)


def _defined(node: ast.stmt) -> set[str]:
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return {node.name}
    if isinstance(node, ast.Import | ast.ImportFrom):
        return {(alias.asname or alias.name).split(".")[0] for alias in node.names}
    return _stored(node)


def _stored(node: ast.AST) -> set[str]:
    return {
        child.id
        for child in ast.walk(node)
        if isinstance(child, ast.Name) and isinstance(child.ctx, ast.Store)
    }


def test_a_clash_is_found() -> None:
    code = """
def flat(row): ...
def write(rows):
    a = [flat for row in rows for flat in row]
    return [flat(row) for row in a]
"""
    assert list(clashes(ast.parse(code))) == [(3, "flat")]


def test_there_are_sources() -> None:
    assert len(SOURCES) > 100


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_loop_variable_of_a_comprehension_hides_a_global_name(path: Path) -> None:
    found = list(clashes(ast.parse(path.read_text(encoding="utf-8"))))
    assert found == [], f"{path}: rename the loop variable (line of the function, name)"
