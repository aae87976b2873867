"""Checks of a patch before any GPU time, cheap to dear; the first that fails is the verdict."""

from __future__ import annotations

import fnmatch
import re
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from unidiff.errors import UnidiffParseError
from unidiff.patch import PatchedFile, PatchSet

from patchbench import git
from patchbench.files import digest
from patchbench.patches.normalise import normalise
from patchbench.records import HUMAN, Evidence, Task, Validated

INDEX_LINE = re.compile(r"^index ([0-9a-f]{7,40})\.\.[0-9a-f]{7,40}", re.MULTILINE)


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
    added: int = 0
    removed: int = 0


def validate(task: Task, arm: str, data: bytes, repo: Path) -> tuple[Validated, bytes]:
    """All checks on one patch: the verdict, and the diff that will be measured (what git makes
    of the tree after applying it; empty if the patch was refused). A refusal is a result."""
    assert task.parent is not None
    text, steps = normalise(data)
    scope, measured = Scope(), b""
    refused: Refused | None = None
    try:
        files = parse(text)
        check_paths(files)
        scope = cut_to_scope(files, task)
        with git.scratch_index(repo, task.parent) as index:
            check_applies(index, text, scope.stripped)
            # The human's commit is measured as it is: it is part of the task.
            if arm != HUMAN:
                check_compiles(index)
            measured = index.diff()
        if not measured:
            raise Refused("patch.empty", "the patch leaves the tree as it was")
    except Refused as error:
        refused, measured = error, b""
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
        lines_added=scope.added,
        lines_removed=scope.removed,
        flags=scope.flags,
    )
    return record, measured


def parse(text: str) -> PatchSet:
    """The diff's files. Raises Refused if it can't be read."""
    try:
        files = PatchSet.from_string(text)
    except (UnidiffParseError, ValueError, IndexError) as error:
        raise Refused("patch.malformed", f"not a readable diff: {error}") from error
    if not files:
        first = text.strip().splitlines()[0][:120] if text.strip() else "(blank)"
        raise Refused("patch.malformed", f"no file header in the diff; it begins: {first}", 1)
    return files


def paths(file: PatchedFile) -> set[str]:
    """All paths that a file's part of a diff names, without the a/ and b/ of git."""
    named = {file.path}
    for name in (file.source_file, file.target_file):
        if name and name != "/dev/null":
            named.add(re.sub(r"^[ab]/", "", name.split("\t")[0]))
    return named


def check_paths(files: PatchSet) -> None:
    """Every path stays inside the tree and away from git's own folder."""
    for file in files:
        for path in paths(file):
            parts = PurePosixPath(path).parts
            if path.startswith("/") or ".." in parts or ".git" in parts or "\0" in path:
                raise Refused("patch.outside_tree", f"path leaves the tree: {path}")


def matches(path: str, patterns: tuple[str, ...]) -> bool:
    """Whether a path lies in one of the folders or matches one of the globs."""
    return any(
        path.startswith(pattern) if pattern.endswith("/") else fnmatch.fnmatch(path, pattern)
        for pattern in patterns
    )


def cut_to_scope(files: PatchSet, task: Task) -> Scope:
    """Strip what touches the judge or can't change the engine; Refused if nothing is left."""
    subject = task.subject
    kept, stripped, flags = [], [], set()
    for file in files:
        if any(matches(path, subject.judge_paths) for path in paths(file)):
            flags.add("edits_benchmark")
            stripped.append(file.path)
        elif matches(file.path, subject.out_of_scope):
            flags.add("out_of_scope_files")
            stripped.append(file.path)
        else:
            kept.append(file)
    if not kept:
        judge = "edits_benchmark" in flags
        raise Refused(
            "patch.forbidden_path" if judge else "patch.out_of_scope",
            f"{'edits only the benchmark' if judge else 'no engine code'}: {', '.join(stripped)}",
        )
    return Scope(
        tuple(file.path for file in kept),
        tuple(stripped),
        tuple(sorted(flags)),
        sum(file.added for file in kept),
        sum(file.removed for file in kept),
    )


def check_applies(index: git.ScratchIndex, text: str, stripped: tuple[str, ...]) -> None:
    """The patch applies as a whole to the exact parent; otherwise say why not."""
    try:
        index.apply(text, exclude=stripped)
        return
    except git.GitError as error:
        reason = str(error).splitlines()[0]
    blobs = [b for b in INDEX_LINE.findall(text) if int(b, 16)]
    foreign = index.foreign(blobs)
    if foreign:
        raise Refused(
            "patch.other_base",
            f"{reason}; {len(foreign)} of {len(blobs)} files were not as in parent "
            f"{index.parent[:8]} (first: blob {foreign[0]})",
        )
    raise Refused("patch.rejected", f"{reason} (parent {index.parent[:8]})")


def check_compiles(index: git.ScratchIndex) -> None:
    """Every changed Python file compiles."""
    for path in index.changed():
        content = index.read(path) if path.endswith(".py") else None
        if content is None:
            continue
        try:
            compile(content, path, "exec", dont_inherit=True)
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            line = getattr(error, "lineno", None)
            message = getattr(error, "msg", None) or str(error)
            raise Refused(
                "patch.syntax", f"{path}:{line}: {type(error).__name__}: {message}", line
            ) from error
