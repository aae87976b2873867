"""Checks of a patch before any GPU time, the cheap ones first; the first that fails decides.

git says what a patch touches, after it was applied to a scratch index: paths can be spelt so that
two parsers see two files.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from patchbench.patches import git, paths, python_check, quality, scope
from patchbench.patches.apply import apply
from patchbench.patches.diff_reader import Diff, scan
from patchbench.patches.normalise import decode, normalise
from patchbench.patches.refusal import Refusal, printable
from patchbench.patches.scope import Scope
from patchbench.records import HUMAN, Task, Validated
from patchbench.system.files import digest

# A person's patch has kilobytes; beyond this are build results, logs, or an attack.
MAX_BYTES = 5_000_000
MAX_FILES = 1000
PATCH = "patch.diff"
LINKS = {"120000": "symbolic link", "160000": "submodule"}


@dataclass
class _Checks:
    """Results of the checks so far; they stay if a later check refuses the patch. ``shift`` lines
    of the delivered patch stand before the diff."""

    steps: list[str] = field(default_factory=list)
    shift: int = 0
    paths: list[str] = field(default_factory=list)
    scope: Scope = field(default_factory=Scope)
    flags: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def validate(
    task: Task, arm: str, data: bytes | Path, repo: Path, prompt: Path | None = None
) -> tuple[Validated, bytes]:
    """Check a patch, given as bytes or as a file. Returns the record and the diff that will be
    measured: git's diff of the tree after applying the patch, empty if the patch was refused."""
    checks, refusal, measured = _Checks(), None, b""
    try:
        measured = _measured_diff(task, arm, data, repo, checks)
    except Refusal as error:
        refusal = error
    diff = scan(decode(measured)[0])
    humans = _human_lines(task, repo) if measured and arm != HUMAN else []
    prompt_text = quality.read_prompt(prompt) if prompt and humans else None
    counts, agent = quality.size(diff), measured and arm != HUMAN
    patch = str(data) if isinstance(data, Path) else PATCH
    record = Validated(
        stage="validate_patch",
        commit=task.commit,
        arm=arm,
        status="failed" if refusal else "ok",
        cause=refusal.cause if refusal else None,
        evidence=refusal.evidence(patch, checks.shift) if refusal else None,
        patch_sha256=None if refusal else digest(measured),
        normalised=tuple(checks.steps),
        files=tuple(map(printable, checks.scope.files)),
        stripped=tuple(map(printable, checks.scope.stripped)),
        flags=(*checks.scope.flags, *checks.flags),
        warnings=tuple(checks.warnings),
        lines_added=counts.added,
        lines_removed=counts.removed,
        hunks=counts.hunks,
        python_only=quality.is_python_only(checks.scope.files) if measured else None,
        tests_touched=quality.changes_tests(checks.paths) if checks.paths else None,
        similarity=quality.similarity(quality.added_lines(diff), humans) if agent else None,
        prompt_overlap=None if prompt_text is None else quality.prompt_overlap(humans, prompt_text),
    )
    return record, measured


def _measured_diff(task: Task, arm: str, data: bytes | Path, repo: Path, checks: _Checks) -> bytes:
    """Run the checks into ``checks`` and return the diff that will be measured. The human's commit
    is measured as it is: it is part of the task. Raises Refusal."""
    assert task.parent is not None
    agent = arm != HUMAN
    raw = _read(data)
    if agent and len(raw) > MAX_BYTES:
        raise Refusal("patch.too_large", f"more than {MAX_BYTES / 1e6:.0f} MB")
    text, steps = normalise(raw) if agent else decode(raw)
    checks.steps += steps
    checks.shift = lines_before(text, raw)
    diff = scan(text)
    if agent:
        check_text(text, raw, diff)
    with git.scratch_index(repo, task.parent) as index:
        if agent:
            if steps := paths.fit(diff, index.tree):
                checks.steps += steps
                text = diff.text()
                diff = scan(text)
            paths.check(diff.sections)
            check_content(diff)
        checks.paths = [section.path for section in diff.sections]
        lines = {section.path: section.line for section in diff.sections}
        checks.steps += apply(index, text, diff, fallbacks=agent)
        checks.scope = scope.cut(index, task.subject, lines)
        scope.check_rebuild(checks.scope, task)
        if agent:
            scope.check_reach(checks.scope.files, task, lines)
            changes = index.changed()
            unsure = python_check.check_compiles(index, changes, task)
            checks.flags, checks.warnings = python_check.findings(index, changes)
            checks.warnings = [*unsure, *checks.warnings]
            checks.flags += ["python_version"] if unsure else []
        measured = index.diff()
    if not measured:
        raise Refusal("patch.empty", "the patch leaves the tree as it was")
    return measured


def _read(data: bytes | Path) -> bytes:
    """Return the patch; of a file at most one byte more than MAX_BYTES."""
    if isinstance(data, bytes):
        return data
    with data.open("rb") as file:
        return file.read(MAX_BYTES + 1)


def lines_before(text: str, raw: bytes) -> int:
    """Return the number of delivered lines before the diff's text, so that evidence names lines of
    the file as delivered; 0 if more than text around the diff was repaired."""
    delivered, _ = decode(raw)
    at = delivered.find(text.rstrip("\n")) if text.strip() else 0
    return delivered.count("\n", 0, at) if at > 0 else 0


def check_text(text: str, raw: bytes, diff: Diff) -> None:
    """Raise Refusal unless the text is a diff that can be read to its end."""
    if not text.strip():
        content = "nothing but its own copy" if raw.strip() else "blank"
        raise Refusal("patch.empty", f"no change in the patch: {content}")
    at = text.find("\0")
    if at >= 0:
        line = text.count("\n", 0, at) + 1
        raise Refusal("patch.malformed", "NUL byte in the diff", line)
    if not diff.sections:
        first = text.strip().splitlines()[0][:120]
        raise Refusal("patch.malformed", f"no file header in the diff; it begins: {first}", 1)
    if len(diff.sections) > MAX_FILES:
        line = diff.sections[MAX_FILES].line
        raise Refusal("patch.too_large", f"changes {len(diff.sections)} files", line)
    if diff.problem:
        raise Refusal(
            "patch.malformed",
            f"not a readable diff: {diff.problem.text}",
            diff.problem.line,
        )


def check_content(diff: Diff) -> None:
    """Raise Refusal for links and submodules, also in files that would be put back, for binary
    files, and if only modes of files change."""
    for section in diff.sections:
        for word, (mode, line) in section.modes.items():
            if mode in LINKS and word not in ("deleted file mode", "old mode"):
                text = f"a {LINKS[mode]}: {section.path}"
                raise Refusal("patch.outside_tree", text, line)
    binary = [section for section in diff.sections if section.binary]
    if binary:
        names = ", ".join(section.path for section in binary)
        raise Refusal("patch.binary", f"binary content for {names}", binary[0].binary)
    if all(section.only_modes for section in diff.sections):
        names = ", ".join(section.path for section in diff.sections)
        raise Refusal("patch.empty", f"changes only modes of files: {names}", diff.sections[0].line)


def _human_lines(task: Task, repo: Path) -> list[str]:
    """Return the lines that the human's commit adds to the engine's code."""
    assert task.parent is not None
    try:
        text, _ = decode(git.diff(repo, task.parent, task.commit))
    except git.GitError:
        return []
    return quality.added_lines(scan(text), lambda path: scope.in_scope(path, task.subject))
