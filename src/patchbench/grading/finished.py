"""Graded launches of a results folder, task by task."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec

from patchbench.errors import BadInput
from patchbench.grading.commit import grade_commit
from patchbench.grading.run_folder import BLOCK_RECORD, read_block
from patchbench.records import AA, GradedRun, Metrics, Task
from patchbench.system.files import read_json


def finished(results: Path) -> Iterator[tuple[Task, tuple[GradedRun, ...]]]:
    """Yield each task whose metrics are there, with its launches. Records that can't be read are
    passed over."""
    for path in sorted((results / "metrics").glob("*.json")):
        try:
            task = msgspec.json.decode((results / "tasks" / path.name).read_bytes(), type=Task)
            yield task, msgspec.json.decode(path.read_bytes(), type=Metrics).runs
        except (OSError, msgspec.MsgspecError):
            continue


def begun(results: Path) -> Iterator[tuple[Task, tuple[GradedRun, ...]]]:
    """Yield each task without metrics that has finished blocks, with their launches, graded now."""
    for folder in sorted((results / "runs").glob("*")):
        record = results / "tasks" / f"{folder.name}.json"
        blocks = sorted(folder.glob(f"block-*/{BLOCK_RECORD}"))
        if not blocks or not record.is_file() or (results / "metrics" / record.name).is_file():
            continue
        try:
            task, read = read_json(record, Task), [read_block(path) for path in blocks]
            arms = dict.fromkeys(arm for block in read for arm in block.order if arm != AA)
            yield task, grade_commit(task, read, [*arms], 1).runs
        except BadInput:
            continue
