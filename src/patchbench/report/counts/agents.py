"""Each agent's line, and agents held against each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from patchbench.failures.causes import BLAMES
from patchbench.records import HUMAN
from patchbench.report.about import About
from patchbench.report.counts.rows import Row, count, is_failed, is_missing, mean, share
from patchbench.report.model import AgentRow, PairRow, TypeRow
from patchbench.subject import BENCH_TYPES
from patchbench.verdicts import scores as scoring
from patchbench.verdicts.rule import VERDICTS


def score(arm: str, planned: Sequence[Row], comparisons: Mapping[str, list[Row]]) -> scoring.Score:
    """One arm's rates and sizes, from its outcomes on planned tasks: excluded tasks stand in no
    denominator."""
    human = [row for row in comparisons.get(HUMAN, []) if row["role"] == "primary"]
    mine = comparisons.get(arm, []) if arm != HUMAN else []
    return scoring.score(arm, planned, [*human, *mine])


def agent_row(about: About, score: scoring.Score, planned: Sequence[Row]) -> AgentRow:
    """One arm's line. Where nothing was paired, what a launch shows can be charged to nobody, and
    the success rate is of all patches delivered."""
    measured = [row for row in planned if row["status"] == "measured"]
    failed = [row for row in planned if is_failed(row)]
    delivered = len(measured) + len(failed)
    judged = score.success.whole
    return AgentRow(
        arm=score.agent,
        title=about.title(score.agent),
        planned=len(planned),
        delivered=delivered,
        missing=sum(map(is_missing, planned)),
        pending=sum(row["status"] == "pending" for row in planned),
        measured=len(measured),
        failed=len(failed),
        judged=judged if about.compared else delivered,
        blames=count((row["blame"] for row in failed), BLAMES),
        success=share(len(measured), judged if about.compared else delivered),
        faster=share(score.faster.part, judged),
        human=share(score.human.part, judged),
        human_reproduced=share(score.human_reproduced.part, score.human_reproduced.whole),
        types=count((row.get("type") for row in measured), BENCH_TYPES),
        verdicts=count((row["verdict"] for row in measured), VERDICTS),
        measured_only=mean(score.measured_only),
        all_planned=mean(score.all_planned),
        to_review=score.to_review,
    )


def type_rows(rows: Sequence[AgentRow], tasks: Sequence[Row]) -> tuple[TypeRow, ...]:
    """Measured patches by benchmark type. A type that nobody planned nor measured is left out if
    it is none of the three that everybody expects."""
    listed = [task.get("type") for task in tasks if task["status"] != "excluded"]
    known = any(listed)
    out = []
    for kind in BENCH_TYPES:
        found = {row.arm: row.types[kind] for row in rows}
        total = sum(found.values())
        if kind != "prefix_caching" or total or kind in listed:
            tasks_of = listed.count(kind) if known else None
            out.append(TypeRow(type=kind, tasks=tasks_of, agents=found, total=total))
    return tuple(out)


def pair_rows(duels: Sequence[scoring.Duel]) -> tuple[PairRow, ...]:
    """Every two agents on the commits for which both were judged."""
    return tuple(
        PairRow(
            first=duel.first,
            second=duel.second,
            commits=duel.commits,
            only_first=duel.success.first,
            only_second=duel.success.second,
            p=duel.success.p_adjusted,
            faster_first=duel.faster.first,
            faster_second=duel.faster.second,
            faster_p=duel.faster.p_adjusted,
            size=mean(duel.size),
            size_p=duel.size_p_adjusted,
        )
        for duel in duels
    )
