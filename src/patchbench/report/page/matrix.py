"""The matrix of commits and arms: what the first screen shows of each patch."""

from __future__ import annotations

from typing import NamedTuple

from patchbench.records import HUMAN
from patchbench.report.kinds import KINDS, is_matrix, kind, mark, short_cause, title, verdict
from patchbench.report.layout.grid import SELF_MEASURED, anchor, commit
from patchbench.report.model import Cell, Report, SpeedupRow

# Beyond these the page shows the figure of outcomes, and the table of patches.
ROWS, ARMS = 150, 12
WITHOUT_RATIO = {"missing": "no patch", "measured": "ran"}
# Characters of a commit's title.
TITLE = 56


class Square(NamedTuple):
    """One arm of one commit: its kind, two lines of words, and the place of its particulars."""

    kind: str
    words: str
    note: str
    tip: str
    place: str


class MatrixRow(NamedTuple):
    """One commit."""

    place: str
    commit: str
    title: str
    metric: str
    note: str
    squares: tuple[Square | None, ...]


class Matrix(NamedTuple):
    """The matrix with its heads, and the kinds that stand in it with their words and marks."""

    heads: tuple[str, ...]
    rows: tuple[MatrixRow, ...]
    legend: tuple[tuple[str, str, str], ...]


def matrix(report: Report) -> Matrix | None:
    """Return the matrix; None if there is none, or if it is too large for a table."""
    arms = shown_arms(report)
    if not is_matrix(report) or len(report.speedups) > ROWS or len(arms) > ARMS:
        return None
    rows = tuple(_row(report, row, arms) for row in report.speedups)
    seen = {square.kind for row in rows for square in row.squares if square}
    return Matrix(
        heads=tuple(title(report, arm) for arm in arms),
        rows=rows,
        legend=tuple((name, sign, words) for name, (words, sign) in KINDS.items() if name in seen),
    )


def shown_arms(report: Report) -> list[str]:
    """Return the arms of the matrix: the human's commit if it was measured, and the agents."""
    human = any(cell.arm == HUMAN for row in report.speedups for cell in row.cells)
    return [*([HUMAN] if human else []), *report.about.agents]


def _row(report: Report, row: SpeedupRow, arms: list[str]) -> MatrixRow:
    cells = {cell.arm: cell for cell in row.cells}
    notes = [
        SELF_MEASURED if row.commit in report.self_measured else "",
        "human's gain not reproduced" if row.reference == "not reproduced" else "",
    ]
    baseline = cells.get("baseline")
    if baseline and baseline.status == "failed":
        notes.append(f"baseline failed: {baseline.cause}")
    return MatrixRow(
        place=anchor("commit", row.commit),
        commit=commit(row.commit).text,
        title=row.title if len(row.title) <= TITLE else f"{row.title[: TITLE - 1].rstrip()}…",
        metric=row.metric,
        note=", ".join(filter(None, notes)),
        squares=tuple(_square(row, cells[arm]) if arm in cells else None for arm in arms),
    )


def _square(row: SpeedupRow, cell: Cell) -> Square:
    name = kind(cell)
    sign = mark(cell)
    if cell.ratio is not None:
        # A mark stays on the line of its ratio.
        words, note = f"{sign}\u00a0{cell.ratio:.2f}x", verdict(cell)
    elif cell.cause and cell.status == "failed":
        words, note = f"{sign}\u00a0{short_cause(cell.cause)}", f"failed: {cell.blame}"
    else:
        words, note = f"{sign}\u00a0{WITHOUT_RATIO.get(name, name)}", ""
    return Square(name, words, note, cell.evidence[:160], anchor("cell", row.commit, cell.arm))
