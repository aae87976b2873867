"""Count each arm's line, and the measured patches by benchmark type."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from patchbench.failures.causes import BLAMES
from patchbench.report.about import About
from patchbench.report.frames import counts
from patchbench.report.model import AgentRow, TypeRow
from patchbench.subject import BENCH_TYPES
from patchbench.verdicts import scores
from patchbench.verdicts.rule import VERDICTS
from patchbench.verdicts.scores import mean, share


def agent_row(about: About, arm: str, outcomes: pd.DataFrame, reproduced: set[str]) -> AgentRow:
    """Return one arm's line from its outcomes (with ratios) on planned tasks. ``reproduced`` are
    the commits on which the human's gain was seen. Where nothing was paired, a failed launch can't
    be charged, so the success rate is of all patches delivered."""
    measured, failed = (
        outcomes[outcomes["status"] == "measured"],
        outcomes[scores.is_failed(outcomes)],
    )
    missing = scores.is_missing(outcomes)
    rated = outcomes[scores.counts_for_rate(outcomes)]
    at_reproduced = rated[rated["commit"].isin(reproduced)]
    ratios = outcomes["ratio"].dropna()
    no_gain = (scores.counts_for_rate(outcomes) | missing) & ~scores.counts_for_mean(outcomes)
    whole = len(rated)
    delivered = len(measured) + len(failed)
    in_success = whole if about.compared else delivered
    return AgentRow(
        arm=arm,
        title=about.title(arm),
        planned=len(outcomes),
        delivered=delivered,
        missing=int(missing.sum()),
        pending=int((outcomes["status"] == "pending").sum()),
        measured=len(measured),
        failed=len(failed),
        counted=in_success,
        blames=counts(failed["blame"], BLAMES),
        success=share(len(measured), in_success),
        faster=share(int((rated["verdict"] == "faster").sum()), whole),
        human=share(int(rated["at_least_human"].sum()), whole),
        human_reproduced=share(int(at_reproduced["at_least_human"].sum()), len(at_reproduced)),
        types=counts(measured["type"], BENCH_TYPES),
        verdicts=counts(measured["verdict"], VERDICTS),
        measured_only=mean(ratios),
        all_planned=mean([*ratios, *[1.0] * int(no_gain.sum())]),
        winners=scores.winners(outcomes),
        to_review=int((rated["review"] != "").sum()),
    )


def type_rows(rows: Sequence[AgentRow], tasks: pd.DataFrame) -> tuple[TypeRow, ...]:
    """Return measured patches by benchmark type. Prefix caching is left out if no task of it was
    planned or measured."""
    listed = counts(tasks.loc[tasks["status"] != "excluded", "type"], BENCH_TYPES)
    known = any(listed.values())
    return tuple(
        TypeRow(
            type=kind,
            tasks=listed[kind] if known else None,
            agents={row.arm: row.types[kind] for row in rows},
            total=total,
        )
        for kind in BENCH_TYPES
        if (total := sum(row.types[kind] for row in rows))
        or listed[kind]
        or kind != "prefix_caching"
    )
