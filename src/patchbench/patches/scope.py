"""Scope of a patch: changes of the benchmark and of foreign files are put back; patches that reach
beyond the code that the workload runs are refused."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import NamedTuple

from patchbench.patches import reach
from patchbench.patches.git import Change, ScratchIndex
from patchbench.patches.path_patterns import matches
from patchbench.patches.refusal import Refusal
from patchbench.records import Task
from patchbench.subject import Subject

PLAIN_MODES = ("000000", "100644", "100755")
# Modules that Python imports at its start.
AUTOMATIC = ("sitecustomize", "usercustomize")
MAX_NAMED = 5


class Scope(NamedTuple):
    """Files of a patch that are measured, and those that were put back."""

    files: tuple[str, ...] = ()
    stripped: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()


def in_scope(path: str, subject: Subject) -> bool:
    """Return True if a path is engine code: neither benchmark, test nor documentation."""
    return not matches(path, (*subject.judge_paths, *subject.out_of_scope))


def cut(index: ScratchIndex, subject: Subject, lines: Mapping[str, int]) -> Scope:
    """Put back changes of the benchmark and of files that can't change the engine. ``lines`` are
    the diff's lines by path. Raises Refusal if nothing is left, or for a file that no patch may
    add."""
    measured: list[Change] = []
    stripped: dict[str, list[Change]] = {"edits_benchmark": [], "out_of_scope_files": []}
    for change in index.changed():
        if matches(change.path, subject.judge_paths):
            stripped["edits_benchmark"].append(change)
        elif matches(change.path, subject.out_of_scope):
            stripped["out_of_scope_files"].append(change)
        else:
            measured.append(change)
            check_change(change, lines.get(change.path))
    put_back = [change for changes in stripped.values() for change in changes]
    names = ", ".join(change.path for change in put_back)
    if not measured and put_back:
        benchmark = bool(stripped["edits_benchmark"])
        raise Refusal(
            "patch.forbidden_path" if benchmark else "patch.out_of_scope",
            f"{'edits only the benchmark' if benchmark else 'no engine code'}: {names}",
            lines.get(put_back[0].path),
        )
    if put_back:
        index.restore(put_back)
    flags = [flag for flag, changes in stripped.items() if changes]
    if any(matches(change.path, subject.native_patterns) for change in measured):
        flags.append("needs_rebuild")
    return Scope(
        tuple(change.path for change in measured),
        tuple(change.path for change in put_back),
        tuple(flags),
    )


def check_change(change: Change, line: int | None) -> None:
    """Raise Refusal for links, submodules and files that replace Python's own modules: all reach
    beyond the code that is measured."""
    if change.new_mode not in PLAIN_MODES:
        kind = {"120000": "symbolic link", "160000": "submodule"}.get(
            change.new_mode, "special file"
        )
        raise Refusal("patch.outside_tree", f"adds a {kind}: {change.path}", line)
    root = PurePosixPath(change.path).parts[0].removesuffix(".py")
    if change.old_mode == "000000" and root in (*sys.stdlib_module_names, *AUTOMATIC):
        raise Refusal(
            "patch.forbidden_path", f"would shadow Python's own {root!r}: {change.path}", line
        )


def check_reach(files: tuple[str, ...], task: Task, lines: Mapping[str, int]) -> None:
    """Raise Refusal if the workload executes none of the files: a gain could only be noise."""
    result = reach.reach_of(files, task)
    if not result.possible:
        text = "; ".join(list(result.unreached.values())[:MAX_NAMED])
        raise Refusal("patch.not_exercised", text, lines.get(files[0]))


def check_rebuild(scope: Scope, task: Task) -> None:
    """Raise Refusal if compiled sources changed but the runtime links the compiled files of an
    installation: the change would silently be left out."""
    if (
        "needs_rebuild" in scope.flags
        and task.runtime == "process"
        and task.subject.overlay is not None
    ):
        native = [path for path in scope.files if matches(path, task.subject.native_patterns)]
        raise Refusal(
            "image.needs_rebuild",
            f"{', '.join(native[:MAX_NAMED])}: the {task.runtime} runtime takes compiled files "
            f"from {task.subject.overlay.folder}",
        )
