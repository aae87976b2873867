"""The results of a campaign as all formats need them: its tables as rows."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from patchbench.errors import BadInput
from patchbench.records import Task
from patchbench.report import about
from patchbench.report.about import About
from patchbench.report.tables.columns import ComparisonRow, OutcomeRow, RunRow, TaskRow
from patchbench.report.tables.read_rows import read_rows
from patchbench.system.files import read_json


class Results(NamedTuple):
    """A results folder and its rows."""

    folder: Path
    about: About
    tasks: list[TaskRow]
    outcomes: list[OutcomeRow]
    comparisons: list[ComparisonRow]
    runs: list[RunRow]

    def record(self, commit: str) -> Task | None:
        """Return a task's record; None for imported results, which have none."""
        path = self.folder / "tasks" / f"{commit}.json"
        return read_json(path, Task) if path.is_file() else None


def read(folder: Path) -> Results:
    """Return the results of a folder. Raises BadInput if it has no tables."""
    if not folder.is_dir():
        raise BadInput(f"--results {folder}: no such folder")
    return Results(
        folder,
        about.read(folder),
        read_rows(folder, "tasks", TaskRow),
        read_rows(folder, "outcomes", OutcomeRow),
        read_rows(folder, "comparisons", ComparisonRow),
        read_rows(folder, "runs", RunRow),
    )
