"""Checks of changed Python files without running them: syntax, undefined names, imports of modules
that don't exist."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import PurePosixPath

from patchbench.patches import syntax
from patchbench.patches.git import Change, ScratchIndex
from patchbench.patches.refusal import Refusal, printable
from patchbench.records import Task

# Larger files are generated; pyflakes would take seconds for one.
MAX_SOURCE = 2_000_000
MAX_IMPORTS = 200


def check_compiles(index: ScratchIndex, changes: Iterable[Change], task: Task) -> list[str]:
    """Raise Refusal if a changed Python file does not compile, but did before. Return warnings
    about files whose syntax depends on the version of Python, where that is not known."""
    judge = syntax.judge_of(task)
    warnings_ = []
    for change in changes:
        if not change.path.endswith(".py") or change.new_mode == "000000":
            continue
        mistake = judge(index.read(change.new_blob), change.path)
        if mistake is None:
            continue
        if not mistake.certain:
            warnings_.append(printable(mistake.text))
            continue
        old = None if change.old_mode == "000000" else judge(index.read(change.old_blob), "")
        if old is None or not old.certain:
            raise Refusal("patch.syntax", mistake.text, mistake.line, change.path)
    return warnings_


def _tree(content: bytes) -> ast.Module | None:
    """Return a file's syntax tree, or None if this Python can't parse it."""
    if len(content) > MAX_SOURCE:
        return None
    try:
        with warnings.catch_warnings(action="ignore"):
            return ast.parse(content)
    except syntax.UNREADABLE:
        return None


def undefined_names(content: bytes, path: str) -> dict[str, int]:
    """Return names that a file uses but does not define, with the first line of each."""
    from pyflakes import checker, messages  # 0.03 s, for validation only

    tree = _tree(content)
    if tree is None:
        return {}
    try:
        all_messages = checker.Checker(tree, filename=printable(path)).messages
    except (RecursionError, ValueError, AttributeError, KeyError, IndexError, TypeError):
        return {}  # a fault of pyflakes on odd code says nothing about the patch
    out: dict[str, int] = {}
    for message in all_messages:
        if isinstance(message, messages.UndefinedName):
            out.setdefault(str(message.message_args[0]), message.lineno)
    return out


def findings(index: ScratchIndex, changes: Iterable[Change]) -> tuple[list[str], list[str]]:
    """Return flags and warnings about new names and imports without a definition. They never
    refuse a patch: Python code can define names in ways that no static check sees."""
    flags: dict[str, None] = {}
    warnings_ = []
    files: dict[str, str] | None = None
    for change in changes:
        if not change.path.endswith(".py") or change.new_mode == "000000":
            continue
        new = index.read(change.new_blob)
        old = index.read(change.old_blob) if change.old_mode != "000000" else b""
        names = undefined_names(new, change.path)
        for name in names and names.keys() - undefined_names(old, change.path).keys():
            flags["undefined_name"] = None
            warnings_.append(f"{change.path}:{names[name]}: undefined name {name!r}")
        added = imports(new, change.path)
        added = {module: added[module] for module in added.keys() - imports(old, change.path)}
        if added:
            files = index.files() if files is None else files
        for module, line in list(added.items())[:MAX_IMPORTS]:
            if files is not None and not resolves(module, change.path, files, index.read):
                flags["unresolved_import"] = None
                warnings_.append(
                    f"{change.path}:{line}: no {'.'.join(filter(None, module))} in the tree"
                )
    return list(flags), sorted(map(printable, warnings_))


def imports(content: bytes, path: str) -> dict[tuple[str, str], int]:
    """Return (module, name) and line of every import outside of try blocks, in which imports may
    fail."""
    tree = _tree(content)
    return dict(_imports(tree, PurePosixPath(path).parent.parts)) if tree else {}


def _imports(node: ast.AST, package: tuple[str, ...]) -> Iterator[tuple[tuple[str, str], int]]:
    waiting = [node]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield (alias.name, ""), node.lineno
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            if node.level:
                parts = package[: len(package) - node.level + 1]
                module = "/" + "/".join((*parts, *filter(None, module.split("."))))
            for alias in node.names:
                yield (module, "" if alias.name == "*" else alias.name), node.lineno
        elif not isinstance(node, ast.Try):
            waiting += ast.iter_child_nodes(node)


def resolves(
    import_: tuple[str, str], path: str, files: Mapping[str, str], read: Callable[[str], bytes]
) -> bool:
    """Return False if an import of the subject's own code has no module, or no such name in it.
    Modules of other packages and compiled ones (with an underscore by custom) count as existing."""
    module, name = import_
    if module.startswith("/"):
        base = module[1:]
    else:
        parts = module.split(".")
        root = source_root(path, files)
        if not any(file.startswith(f"{root}{parts[0]}/") for file in files):
            return True
        base = root + "/".join(parts)
    if any(part.startswith("_") for part in base.split("/")):
        return True
    package = any(file.startswith(f"{base}/") for file in files) if base else True
    source = next((f for f in (f"{base}.py", f"{base}/__init__.py") if f in files), None)
    if source is None and not package:
        return False
    if not name or name.startswith("_") or source is None:
        return True
    if f"{base}/{name}.py" in files or any(f.startswith(f"{base}/{name}/") for f in files):
        return True
    return defines(read(files[source]), name)


def source_root(path: str, files: Mapping[str, str]) -> str:
    """Return the folder at which a file's absolute imports start: above its outermost package."""
    parts = PurePosixPath(path).parts[:-1]
    depth = len(parts)
    while depth and "/".join((*parts[:depth], "__init__.py")) in files:
        depth -= 1
    return "".join(f"{part}/" for part in parts[:depth]) if depth < len(parts) else ""


def defines(content: bytes, name: str) -> bool:
    """Return True if a module may define a name, also by a star import or __getattr__."""
    tree = _tree(content)
    if tree is None:
        return True
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            if node.name in (name, "__getattr__"):
                return True
        elif isinstance(node, ast.alias):
            if node.name == "*" or (node.asname or node.name).split(".")[0] == name:
                return True
        elif isinstance(node, ast.Name) and node.id in (name, "globals"):
            return True
    return False
