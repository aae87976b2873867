"""The kinds of outcomes that a matrix of commits and agents shows, each with its words and mark."""

from __future__ import annotations

from patchbench.records import HUMAN
from patchbench.report.model import Cell, Report
from patchbench.verdicts.rule import MARKS, REVIEW_MARK

# Words and mark of each kind, from best to worst.
KINDS: dict[str, tuple[str, str]] = {
    "faster": ("faster", MARKS["faster"]),
    "measured": ("ran (single launch, no verdict)", "·"),
    "same": ("same", MARKS["same"]),
    "inconclusive": ("inconclusive", MARKS["inconclusive"]),
    "slower": ("slower", MARKS["slower"]),
    "faster, guard open": ("faster, guard open", MARKS["faster, guard open"]),
    "trade-off": ("trade-off", MARKS["trade-off"]),
    "suspicious": ("suspicious", MARKS["suspicious"]),
    "wrong output": ("wrong output", MARKS["wrong output"]),
    "failed": ("failed, charged to the agent", "✗"),
    "other": ("failed, not the agent's", "○"),
    "missing": ("no patch", "–"),
    "pending": ("pending", "…"),
}


def kind(cell: Cell) -> str:
    """Return the kind of an arm's outcome."""
    if cell.status in ("pending", "missing"):
        return cell.status
    if cell.verdict in KINDS:
        return cell.verdict
    if cell.status == "measured":
        return "measured"
    return "failed" if cell.blame == "agent" else "other"


def mark(cell: Cell) -> str:
    """Return the mark of an arm's outcome, with the one that asks for a review."""
    return f"{cell.mark or KINDS[kind(cell)][1]}{REVIEW_MARK if cell.review else ''}"


def title(report: Report, arm: str) -> str:
    """Return an arm's title."""
    return "Human" if arm == HUMAN else report.about.title(arm)


def verdict(cell: Cell) -> str:
    """Return an arm's verdict in words, with its place beside the human's commit."""
    return f"{cell.verdict}, {cell.human} human" if cell.human else f"{cell.verdict}"


def short_cause(cause: str) -> str:
    """Return a cause without its group: 'crash under load'."""
    return cause.partition(".")[2].replace("_", " ") or cause


def is_matrix(report: Report) -> bool:
    """Return True if there are arms of named commits, so that a matrix can be shown."""
    return bool(report.speedups) and all(row.cells for row in report.speedups)
