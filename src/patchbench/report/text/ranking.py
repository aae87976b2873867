"""Whether the data support an order of the agents."""

from __future__ import annotations

from collections.abc import Sequence

from patchbench.report.model import AgentRow, Report
from patchbench.report.text import ranking_rows
from patchbench.report.text.phrases import interval, percent
from patchbench.verdicts.rule import SIGNIFICANT
from patchbench.verdicts.scores import Duel, Score


def paragraph(report: Report, scores: Sequence[Score], duels: Sequence[Duel]) -> str:
    """The answer. By speedups where there are any; else by how often patches gave metrics."""
    if report.about.compared:
        return ranking_rows.paragraph(scores, duels, report.about.agents)
    return by_success(report.agents, duels)


def by_success(rows: Sequence[AgentRow], duels: Sequence[Duel]) -> str:
    """An order by success rates. It needs intervals that don't overlap, or a split of the common
    commits that chance would hardly make; and both only of those that follow each other."""
    judged = [row for row in rows if row.success.whole]
    order = sorted(judged, key=lambda row: (-(row.success.share or 0.0), row.title))
    if len(order) < 2:
        return ""
    best, second = order[0], order[1]
    pair = {best.arm, second.arm}
    duel = next((duel for duel in duels if {duel.first, duel.second} == pair), None)
    apart = best.success.low > second.success.high
    uneven = duel is not None and duel.success.p_adjusted < SIGNIFICANT
    if apart or uneven:
        return (
            f"{best.title} gave metrics more often than {second.title} "
            f"({percent(best.success.share)} against {percent(second.success.share)}); that is "
            "beyond chance. Metrics say that a patch runs, not that it is faster."
        )
    rates = ", ".join(f"{row.title} {interval(row.success)}" for row in order)
    if max(row.success.low for row in order) > min(row.success.high for row in order):
        return (
            f"The data do not say which agent gives metrics most often: the 95 % intervals of "
            f"{best.title} and {second.title} overlap ({rates})."
        )
    paired = ""
    if duel is not None and duel.success.first + duel.success.second:
        paired = (
            f" Of the {duel.commits} commits on which the first two can be compared, "
            f"{duel.success.first} went to one alone and {duel.success.second} to the other "
            f"(exact p = {duel.success.p_adjusted:.2f})."
        )
    return (
        f"The data do not support a ranking of the {len(order)} agents: the 95 % intervals of all "
        f"their success rates overlap ({rates}).{paired}"
    )
