"""Tables of a comparison with another campaign."""

from __future__ import annotations

from patchbench.report.layout.grid import Cell, Grid, columns, commit, count
from patchbench.report.layout.summary import rate
from patchbench.report.model import CampaignChanges, Report

NAMES = {"baseline": "baseline", "human": "human"}


def rates(comparison: CampaignChanges) -> Grid:
    """Return rates on the outcomes that count in both campaigns."""
    rows = [
        (
            Cell(row.title, strong=True),
            Cell(row.rate),
            rate(row.before),
            rate(row.now),
            count(row.won),
            count(row.lost),
            Cell(f"{row.p:.3f}", sort=row.p),
            Cell(row.conclusion),
        )
        for row in comparison.rates
    ]
    heads = ("Agent", "Rate", "Before", "Now", "Won", "Lost", "p", "Conclusion")
    return Grid(
        "compared-rates",
        "Rates then and now",
        columns(*heads, right=("Won", "Lost", "p")),
        rows,
    )


def changes(report: Report, comparison: CampaignChanges) -> Grid:
    """Return arms that ended differently, with the word that tells noise from change."""
    rows = [
        (
            commit(row.commit),
            Cell(NAMES.get(row.arm) or report.about.title(row.arm)),
            Cell(row.before),
            Cell(row.now),
            Cell(
                "–"
                if row.factor is None or row.low is None or row.high is None
                else f"{row.factor:.2f}x [{row.low:.2f}, {row.high:.2f}]",
                sort=row.factor,
            ),
            Cell("–" if row.p_adjusted is None else f"{row.p_adjusted:.3f}", sort=row.p_adjusted),
            Cell(row.conclusion),
        )
        for row in comparison.changes
    ]
    heads = ("Commit", "Arm", "Before", "Now", "Change of the ratio", "p", "Conclusion")
    return Grid(
        "compared-changes",
        "What changed",
        columns(*heads, right=("p",), choose=("Arm", "Conclusion")),
        rows,
    )
