"""Finding and replacing places in Python source by their names, through the syntax tree.

Whole lines are replaced; everything else of a file keeps its bytes. A place that is not there is an
`EditError`: the file is of another release than the one that an edit was written for.
"""

import ast
import re
import textwrap
from collections.abc import Iterable

Function = ast.FunctionDef | ast.AsyncFunctionDef


class EditError(ValueError):
    """The place that an edit needs is not in the file."""


def function(text: str, name: str, owner: str = "") -> ast.FunctionDef:
    """The function `name` of the top level, or the method `name` of the class `owner`."""
    body = klass(text, owner).body if owner else ast.parse(text).body
    for node in body:
        if isinstance(node, ast.FunctionDef) and node.name == name:
            return node
    raise EditError(f"no function {name}" + (f" in class {owner}" if owner else ""))


def klass(text: str, name: str) -> ast.ClassDef:
    """The class `name` of the top level."""
    for node in ast.parse(text).body:
        if isinstance(node, ast.ClassDef) and node.name == name:
            return node
    raise EditError(f"no class {name}")


def statements(text: str, *kinds: type[ast.stmt], naming: str) -> list[ast.stmt]:
    """Return top-level statements of these kinds that have the word `naming` in their source."""
    found = [
        node
        for node in ast.parse(text).body
        if isinstance(node, kinds)
        and re.search(rf"\b{re.escape(naming)}\b", ast.get_source_segment(text, node) or "")
    ]
    if not found:
        raise EditError(f"no statement of the top level names {naming}")
    return found


def replace_body(text: str, node: Function, code: str) -> str:
    """Put `code` in the place of all that follows a function's docstring."""
    body = node.body if ast.get_docstring(node, clean=False) is None else node.body[1:]
    if not body:
        raise EditError(f"{node.name} has nothing but a docstring")
    first = node.body[0].end_lineno + 1 if body is not node.body else body[0].lineno
    return _replace(text, first, body[-1].end_lineno, _indented(code, body[0].col_offset))


def replace_function(text: str, node: Function, code: str) -> str:
    """Put `code` in the place of a whole function, its decorators included."""
    first = min([node.lineno, *(item.lineno for item in node.decorator_list)])
    return _replace(text, first, node.end_lineno, _indented(code, node.col_offset))


def insert_before(text: str, node: ast.stmt, code: str) -> str:
    """Put `code` above a statement; at the top level with two blank lines between."""
    gap = "" if node.col_offset else "\n\n"
    return _replace(text, node.lineno, node.lineno - 1, _indented(code, node.col_offset) + gap)


def remove(text: str, nodes: Iterable[ast.stmt]) -> str:
    """Take statements away, with the comments right above them and blank lines beyond two."""
    for node in sorted(nodes, key=lambda node: -node.lineno):
        decorators = getattr(node, "decorator_list", [])
        first = min([node.lineno, *(item.lineno for item in decorators)])
        lines = text.splitlines()
        while first > 1 and lines[first - 2].lstrip().startswith("#"):
            first -= 1
        text = _replace(text, first, node.end_lineno, "")
    return re.sub(r"\n{4,}", "\n\n\n", text)


def rename(text: str, node: ast.stmt, old: str, new: str) -> str:
    """Give a local name of one function another one."""
    source = ast.get_source_segment(text, node, padded=True)
    word = rf"\b{re.escape(old)}\b"
    if source is None or not re.search(word, source):
        raise EditError(f"nothing is called {old} there")
    return _replace(text, node.lineno, node.end_lineno, re.sub(word, new, source) + "\n")


def _indented(code: str, column: int) -> str:
    return textwrap.indent(textwrap.dedent(code).strip(), " " * column) + "\n"


def _replace(text: str, first: int, last: int, new: str) -> str:
    """Lines `first` to `last` (counted from 1, both included) give way to `new`."""
    lines = text.splitlines(keepends=True)
    return "".join([*lines[: first - 1], new, *lines[last:]])
