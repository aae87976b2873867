"""Checks of a patch before any GPU time, cheap to dear; the first that fails is the verdict.

What a patch touches is asked of git after it was applied to a scratch index, never of a parser
alone: paths can be spelt so that two readers see two files.
"""

from __future__ import annotations

import fnmatch
import re
import subprocess
import sys
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from unidiff.errors import UnidiffParseError
from unidiff.patch import PatchSet

from patchbench import git
from patchbench.files import digest
from patchbench.git import Change, ScratchIndex
from patchbench.patches.normalise import crlf_to_lf, normalise
from patchbench.records import HUMAN, Evidence, Subject, Task, Validated

INDEX_LINE = re.compile(r"^index ([0-9a-f]{7,40})\.\.[0-9a-f]{7,40}", re.MULTILINE)
PLAIN_MODES = ("000000", "100644", "100755")
# Modules that Python imports by itself at start.
AUTOMATIC = ("sitecustomize", "usercustomize")
COMPILE = "import sys; compile(sys.stdin.buffer.read(), sys.argv[1], 'exec', dont_inherit=True)"


class Refused(Exception):
    """A check failed: the cause and the line that shows it."""

    def __init__(self, cause: str, text: str, line: int | None = None) -> None:
        super().__init__(text)
        self.cause = cause
        self.evidence = Evidence(text=text, line=line)


class Scope(NamedTuple):
    """What of a patch may be measured, and what was stripped."""

    files: tuple[str, ...] = ()
    stripped: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()


def validate(task: Task, arm: str, data: bytes, repo: Path) -> tuple[Validated, bytes]:
    """All checks on one patch: the verdict, and the diff that will be measured (what git makes of
    the tree after applying it; empty if the patch was refused). A refusal is a result."""
    assert task.parent is not None
    text, steps = normalise(data)
    scope, measured, refused = Scope(), b"", None
    try:
        check_paths(parse(text))
        with git.scratch_index(repo, task.parent) as index:
            steps += apply(index, text)
            scope = cut_to_scope(index, task.subject)
            # The human's commit is measured as it is: it is part of the task.
            if arm != HUMAN:
                check_compiles(index, task.subject)
            measured = index.diff()
        if not measured:
            raise Refused("patch.empty", "the patch leaves the tree as it was")
    except Refused as error:
        refused, measured = error, b""
    lines = measured.splitlines()
    record = Validated(
        stage="validate_patch",
        commit=task.commit,
        arm=arm,
        status="failed" if refused else "ok",
        cause=refused.cause if refused else None,
        evidence=refused.evidence if refused else None,
        patch_sha256=None if refused else digest(measured),
        normalised=tuple(steps),
        files=scope.files,
        stripped=scope.stripped,
        flags=scope.flags,
        lines_added=sum(x.startswith(b"+") and not x.startswith(b"+++ ") for x in lines),
        lines_removed=sum(x.startswith(b"-") and not x.startswith(b"--- ") for x in lines),
    )
    return record, measured


def parse(text: str) -> list[str]:
    """All paths that the diff names, without git's prefixes. Raises Refused if it can't be read."""
    try:
        files = PatchSet.from_string(text)
    except (UnidiffParseError, ValueError, IndexError, KeyError, TypeError) as error:
        raise Refused("patch.malformed", f"not a readable diff: {error}") from error
    if not files:
        first = text.strip().splitlines()[0][:120] if text.strip() else "(blank)"
        raise Refused("patch.malformed", f"no file header in the diff; it begins: {first}", 1)
    named = {name for file in files for name in (file.path, file.source_file, file.target_file)}
    return [re.sub(r"^[ab]/", "", name.split("\t")[0]) for name in named if name != "/dev/null"]


def check_paths(paths: list[str]) -> None:
    """Every path stays inside the tree and away from git's own folder."""
    for path in paths:
        parts = PurePosixPath(path.strip('"')).parts
        if path.startswith("/") or ".." in parts or ".git" in parts or "\0" in path:
            raise Refused("patch.outside_tree", f"path leaves the tree: {path}")


def apply(index: ScratchIndex, text: str) -> list[str]:
    """Apply the patch as a whole to the exact parent; with CRLF line ends made LF if only that
    fits. Returns what had to be mended; raises Refused that says why it does not apply."""
    reason = ""
    for mended, steps in ((text, []), crlf_to_lf(text)):
        if steps or not reason:
            try:
                index.apply(mended)
                return steps
            except git.GitError as error:
                reason = reason or str(error).splitlines()[0]
    if "invalid path" in reason or "is beyond a symbolic link" in reason:
        raise Refused("patch.outside_tree", reason)
    if "corrupt patch" in reason or "unrecognized input" in reason or "garbage" in reason:
        raise Refused("patch.malformed", reason)
    blobs = [b for b in INDEX_LINE.findall(text) if int(b, 16)]
    foreign = index.foreign(blobs)
    if foreign:
        raise Refused(
            "patch.other_base",
            f"{reason}; {len(foreign)} of {len(blobs)} files were not as in parent "
            f"{index.parent[:8]} (first: blob {foreign[0]})",
        )
    raise Refused("patch.rejected", f"{reason} (parent {index.parent[:8]})")


def matches(path: str, patterns: tuple[str, ...]) -> bool:
    """Whether a path lies in one of the folders or matches one of the globs."""
    return any(
        path.startswith(pattern) if pattern.endswith("/") else fnmatch.fnmatch(path, pattern)
        for pattern in patterns
    )


def cut_to_scope(index: ScratchIndex, subject: Subject) -> Scope:
    """Put back in the index what touches the judge or can't change the engine; Refused if nothing
    is left, or if the patch adds what no patch may."""
    kept: list[Change] = []
    stripped: dict[str, list[Change]] = {"edits_benchmark": [], "out_of_scope_files": []}
    for change in index.changed():
        if matches(change.path, subject.judge_paths):
            stripped["edits_benchmark"].append(change)
        elif matches(change.path, subject.out_of_scope):
            stripped["out_of_scope_files"].append(change)
        else:
            kept.append(change)
            check_change(change)
    put_back = [change for changes in stripped.values() for change in changes]
    names = ", ".join(change.path for change in put_back)
    if not kept and put_back:
        judge = bool(stripped["edits_benchmark"])
        raise Refused(
            "patch.forbidden_path" if judge else "patch.out_of_scope",
            f"{'edits only the benchmark' if judge else 'no engine code'}: {names}",
        )
    if put_back:
        index.restore(put_back)
    return Scope(
        tuple(change.path for change in kept),
        tuple(change.path for change in put_back),
        tuple(flag for flag, changes in stripped.items() if changes),
    )


def check_change(change: Change) -> None:
    """No links, no submodules, and nothing that takes the place of Python's own modules: all
    would reach beyond the code that is measured."""
    if change.new_mode not in PLAIN_MODES:
        kind = {"120000": "symbolic link", "160000": "submodule"}.get(
            change.new_mode, "special file"
        )
        raise Refused("patch.outside_tree", f"adds a {kind}: {change.path}")
    root = PurePosixPath(change.path).parts[0].removesuffix(".py")
    if change.old_mode == "000000" and root in (*sys.stdlib_module_names, *AUTOMATIC):
        raise Refused("patch.forbidden_path", f"would shadow Python's own {root!r}: {change.path}")


def check_compiles(index: ScratchIndex, subject: Subject) -> None:
    """Every changed Python file compiles under the subject's interpreter, if it did before."""
    for change in index.changed():
        if not change.path.endswith(".py") or change.new_mode == "000000":
            continue
        mistake = compile_error(index.read(change.new_blob), change.path, subject.python)
        if mistake is None:
            continue
        new = change.old_mode == "000000"
        if new or compile_error(index.read(change.old_blob), change.path, subject.python) is None:
            raise Refused("patch.syntax", *mistake)


def compile_error(content: bytes, path: str, python: str | None) -> tuple[str, int | None] | None:
    """Why a file does not compile, and the line; None if it does. With an interpreter of its own
    the subject decides, for syntax changes between Python's versions."""
    if python is not None:
        done = subprocess.run([python, "-c", COMPILE, path], input=content, capture_output=True)
        said = done.stderr.decode(errors="replace").strip().splitlines()
        return (
            (f"{path}: {said[-1] if said else done.returncode}", None) if done.returncode else None
        )
    try:
        compile(content, path, "exec", dont_inherit=True)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        line = getattr(error, "lineno", None)
        message = getattr(error, "msg", None) or str(error)
        return f"{path}:{line}: {type(error).__name__}: {message}", line
    return None
