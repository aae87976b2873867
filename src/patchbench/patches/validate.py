"""Checks of a patch before any GPU time, cheap to dear; the first that fails is the verdict.

What a patch touches is asked of git after it was applied to a scratch index, never of a parser
alone: paths can be spelt so that two readers see two files.
"""

from __future__ import annotations

from pathlib import Path

from patchbench.patches import git, paths, python_check, quality, scope
from patchbench.patches.apply import apply
from patchbench.patches.diff_reader import Diff, scan
from patchbench.patches.normalise import decode, normalise
from patchbench.patches.refusal import Refused, printable
from patchbench.patches.scope import Scope, matches
from patchbench.records import HUMAN, Task, Validated
from patchbench.system.files import digest

__all__ = ["MAX_BYTES", "Refused", "matches", "validate"]

# A person's patch has kilobytes; beyond this are build results, logs, or an attack.
MAX_BYTES = 5_000_000
MAX_FILES = 1000
PATCH = "patch.diff"
LINKS = {"120000": "symbolic link", "160000": "submodule"}


def validate(
    task: Task, arm: str, data: bytes | Path, repo: Path, prompt: Path | None = None
) -> tuple[Validated, bytes]:
    """All checks on one patch: the verdict, and the diff that will be measured (what git makes of
    the tree after applying it; empty if the patch was refused). A refusal is a result. A patch
    given as a file is not read if it is too large."""
    checked = _Checked()
    name = str(data) if isinstance(data, Path) else PATCH
    try:
        raw = _read(data)
        check_size(len(raw), arm)
        measured = _measured(task, arm, raw, repo, checked)
        refused = None
    except Refused as error:
        refused, measured = error, b""
    humans = _humans_lines(task, repo) if measured and arm != HUMAN else []
    shown = quality.read_prompt(prompt) if prompt and humans else None
    counts = quality.size(measured)
    ours = quality.added_lines(measured, lambda _: True)
    cut = checked.scope
    record = Validated(
        stage="validate_patch",
        commit=task.commit,
        arm=arm,
        status="failed" if refused else "ok",
        cause=refused.cause if refused else None,
        evidence=refused.evidence(name, checked.shift) if refused else None,
        patch_sha256=None if refused else digest(measured),
        normalised=tuple(checked.steps),
        files=tuple(map(printable, cut.files)),
        stripped=tuple(map(printable, cut.stripped)),
        flags=(*cut.flags, *checked.flags),
        warnings=tuple(checked.warnings),
        lines_added=counts.added,
        lines_removed=counts.removed,
        hunks=counts.hunks,
        python_only=quality.python_only(cut.files) if measured else None,
        tests_touched=quality.tests_touched(checked.named) if checked.named else None,
        similarity=quality.similarity(ours, humans) if measured and arm != HUMAN else None,
        prompt_overlap=quality.prompt_overlap(humans, shown) if shown is not None else None,
    )
    return record, measured


class _Checked:
    """What the checks found out so far; it stays if a later one refuses."""

    def __init__(self) -> None:
        self.steps: list[str] = []
        self.shift = 0
        self.named: list[str] = []
        self.scope = Scope()
        self.flags: list[str] = []
        self.warnings: list[str] = []


def _read(data: bytes | Path) -> bytes:
    """The patch, or of a file that is too large only so much that this shows."""
    if isinstance(data, bytes):
        return data
    with data.open("rb") as file:
        return file.read(MAX_BYTES + 1)


def check_size(size: int, arm: str) -> None:
    """No patch is read that no person would have written; the human's comes from git."""
    if size > MAX_BYTES and arm != HUMAN:
        raise Refused("patch.too_large", f"more than {MAX_BYTES / 1e6:.0f} MB")


def _measured(task: Task, arm: str, raw: bytes, repo: Path, checked: _Checked) -> bytes:
    """The diff that counts. Raises Refused; what was found out until then stands in ``checked``."""
    assert task.parent is not None
    agent = arm != HUMAN
    text, steps = normalise(raw) if agent else decode(raw)
    checked.steps += steps
    checked.shift = lines_before(text, raw)
    diff = scan(text)
    if agent:
        check_text(text, raw, diff)
    with git.scratch_index(repo, task.parent) as index:
        if agent:
            mended = paths.fit(diff, index.tree)
            if mended:
                checked.steps += mended
                text = diff.text()
                diff = scan(text)
            paths.check(diff.sections)
            check_content(diff)
        checked.named = [section.path for section in diff.sections]
        lines = {section.path: section.line for section in diff.sections}
        checked.steps += apply(index, text, diff, fallbacks=agent)
        checked.scope = scope.cut(index, task.subject, lines)
        scope.check_rebuild(checked.scope, task)
        # The human's commit is measured as it is: it is part of the task.
        if agent:
            scope.check_reach(checked.scope.files, task, lines)
            kept = index.changed()
            python_check.check_compiles(index, kept, task.subject)
            checked.flags, checked.warnings = python_check.findings(index, kept)
        measured = index.diff()
    if not measured:
        raise Refused("patch.empty", "the patch leaves the tree as it was")
    return measured


def lines_before(text: str, raw: bytes) -> int:
    """How many lines of the patch as delivered stand before its mended text, so that evidence
    names lines that a person finds; 0 where more was mended than text around the diff."""
    delivered, _ = decode(raw)
    at = delivered.find(text.rstrip("\n")) if text.strip() else 0
    return delivered.count("\n", 0, at) if at > 0 else 0


def check_text(text: str, raw: bytes, diff: Diff) -> None:
    """It is a diff that can be read to its end. Raises Refused."""
    if not text.strip():
        said = "nothing but its own copy" if raw.strip() else "blank"
        raise Refused("patch.empty", f"no change in the patch: {said}")
    at = text.find("\0")
    if at >= 0:
        line = text.count("\n", 0, at) + 1
        raise Refused("patch.malformed", "NUL byte in the diff", line)
    if not diff.sections:
        first = text.strip().splitlines()[0][:120]
        raise Refused("patch.malformed", f"no file header in the diff; it begins: {first}", 1)
    if len(diff.sections) > MAX_FILES:
        line = diff.sections[MAX_FILES].line
        raise Refused("patch.too_large", f"changes {len(diff.sections)} files", line)
    if diff.problem:
        raise Refused(
            "patch.malformed",
            f"not a readable diff: {diff.problem.text}",
            diff.problem.line,
        )


def check_content(diff: Diff) -> None:
    """No links and submodules, not even in files that would be stripped; no binary files; and
    something besides modes of files. Raises Refused."""
    for section in diff.sections:
        for word, (mode, line) in section.modes.items():
            if mode in LINKS and word not in ("deleted file mode", "old mode"):
                text = f"a {LINKS[mode]}: {section.path}"
                raise Refused("patch.outside_tree", text, line)
    binary = [section for section in diff.sections if section.binary]
    if binary:
        names = ", ".join(section.path for section in binary)
        raise Refused("patch.binary", f"binary content for {names}", binary[0].binary)
    if all(section.only_modes for section in diff.sections):
        names = ", ".join(section.path for section in diff.sections)
        raise Refused("patch.empty", f"changes only modes of files: {names}", diff.sections[0].line)


def _humans_lines(task: Task, repo: Path) -> list[str]:
    """What the human's commit adds to the engine's code."""
    assert task.parent is not None
    try:
        diff = git.diff(repo, task.parent, task.commit)
    except git.GitError:
        return []
    return quality.added_lines(diff, lambda path: scope.in_scope(path, task.subject))
