"""Paths in a diff: fitted to the parent's tree, and refused outside of it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import PurePosixPath

from patchbench.patches.diff_reader import Diff, Section
from patchbench.patches.header_names import NOWHERE, git_line_names, quoted, stripped
from patchbench.patches.refusal import Refusal, printable

# git's own prefixes are one letter: a/ and b/, with mnemonicPrefix also c/, i/, o/ and w/.
PREFIXED = re.compile(r"[a-z]/[^/]")
DRIVE = re.compile(r"[A-Za-z]:[\\/]")
ABSOLUTE = "absolute paths of another machine made relative"
BARE = "paths without a/ and b/ prefixes"


def names(section: Section) -> tuple[str, str]:
    """Return a section's old and new name, prefixes included."""
    if section.old is not None and section.new is not None:
        return section.old, section.new
    old, new = git_line_names(section.git or "")
    # A section about an empty file has no --- and +++ lines.
    if "new file mode" in section.modes:
        return NOWHERE, new
    return old, (NOWHERE if "deleted file mode" in section.modes else new)


def fit(diff: Diff, tree: Callable[[], Iterable[str]]) -> list[str]:
    """Rewrite headers in the diff's lines so that git reads them as paths of the tree. Returns the
    names of the steps. Only headers that fit the tree in one way are rewritten."""
    odd = [s for s in diff.sections if not all(map(_is_usual, names(s)))]
    if not odd:
        return []
    files = set(tree())
    folders = {str(parent) for name in files for parent in PurePosixPath(name).parents}
    roots = {root for s in odd for n in names(s) if (root := _root(n, files)) is not None}
    steps: dict[str, None] = {}
    for section in odd:
        old, new = names(section)
        if any(".." in name.split("/") for name in (old, new)):
            continue
        if old.startswith("/") and new.startswith("/"):
            fitted = _relative(section, files, roots)
            step = ABSOLUTE
        else:
            fitted = _bare(old, new, files, folders)
            if fitted is not None and section.renames:
                fitted = old, new
            step = BARE
        if fitted is not None:
            _rewrite(diff.lines, section, *fitted)
            steps[step] = None
    return list(steps)


def _is_usual(name: str) -> bool:
    return name == NOWHERE or bool(PREFIXED.match(name))


def _root(name: str, files: set[str]) -> str | None:
    """Return the other machine's folder below which an absolute path is a path of the tree, or
    None."""
    if not name.startswith("/") or name == NOWHERE:
        return None
    parts = name.split("/")
    fits = [i for i in range(1, len(parts)) if "/".join(parts[i:]) in files]
    return "/".join(parts[: fits[0]]) + "/" if len(fits) == 1 else None


def _relative(section: Section, files: set[str], roots: set[str]) -> tuple[str, str] | None:
    """Return both names of a section with absolute paths, relative to their root, or None. A new
    file has the root of the other files if they agree."""
    out = []
    for name in names(section):
        root = _root(name, files)
        if name != NOWHERE and root is None:
            root = next(iter(roots)) if len(roots) == 1 else None
            if root is None or not name.startswith(root) or section.old != NOWHERE:
                return None
        out.append(name if name == NOWHERE else name.removeprefix(root or ""))
    return out[0], out[1]


def _bare(old: str, new: str, files: set[str], folders: set[str]) -> tuple[str, str] | None:
    """Return both names if they are whole paths of the tree, or None if they have a prefix."""
    existing = [name for name in (old, new) if name in files]
    if old == new and existing:
        return old, new
    if old == NOWHERE:
        if _is_usual(new):
            return None
        # A new file in an existing folder, or in a new folder of one.
        return (old, new) if "/" not in new or new.split("/")[0] in folders else None
    if any(stripped(name) in files for name in (old, new) if name != NOWHERE):
        return None
    if new == NOWHERE:
        return (old, new) if existing else None
    # `diff -u core.py.orig core.py`: like patch(1), take the name that exists.
    return (existing[0], existing[0]) if existing else None


def _rewrite(lines: list[str], section: Section, old: str, new: str) -> None:
    """Write a section's headers with git's prefixes."""

    def header(prefix: str, name: str) -> str:
        if name == NOWHERE:
            return name
        return quoted(prefix + name) + ("\t" if " " in name else "")

    if section.git is not None:
        first, second = (new if old == NOWHERE else old), (old if new == NOWHERE else new)
        lines[section.start] = f"diff --git {quoted('a/' + first)} {quoted('b/' + second)}"
    if section.old is not None:
        lines[section.names_at] = f"--- {header('a/', old)}"
        lines[section.names_at + 1] = f"+++ {header('b/', new)}"


def named(section: Section) -> Iterator[tuple[str, str, int]]:
    """Yield every path that a section names: with and without its prefix, and its line."""
    if section.old is not None and section.new is not None:
        yield section.old, stripped(section.old), section.names_at + 1
        yield section.new, stripped(section.new), section.names_at + 2
    if section.git is not None:
        for name in git_line_names(section.git):
            yield name, stripped(name), section.line
        for word in section.git.replace('"', " ").split():
            yield word, stripped(word), section.line
    for name, line in section.renames.values():
        yield name, name, line


def check(sections: Iterable[Section]) -> None:
    """Raise Refusal if a path leaves the tree or lies in git's own folder."""
    for section in sections:
        for name, path, line in named(section):
            if name == NOWHERE:
                continue
            parts = name.replace("\\", "/").split("/")
            inside = not (name.startswith("/") or path.startswith("/") or DRIVE.match(path))
            own = any(part.lower().rstrip(" .") == ".git" for part in parts)
            if not inside or ".." in parts or own or "\0" in name:
                raise Refusal(
                    "patch.outside_tree", f"path leaves the tree: {printable(name)}", line
                )
