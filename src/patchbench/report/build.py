"""From tables to the whole report: counted, closed, and put into words."""

from __future__ import annotations

from datetime import UTC, datetime

from patchbench import __version__
from patchbench.records import HUMAN
from patchbench.report.about import About
from patchbench.report.counts import (
    agents,
    closure,
    coverage,
    failures,
    machine,
    noise,
    quality,
    speedups,
)
from patchbench.report.counts.rows import by_arm
from patchbench.report.model import Counts, Report
from patchbench.report.read_tables import Source
from patchbench.report.recorded import Recorded
from patchbench.report.text import said
from patchbench.verdicts import scores as scoring


def build(about: About, source: Source, recorded: Recorded | None = None) -> Report:
    """The whole report. Raises Inconsistent if its numbers don't add up."""
    recorded = recorded or Recorded()
    planned = [task for task in source.tasks if task["status"] != "excluded"]
    excluded = {task["commit"] for task in source.tasks if task["status"] == "excluded"}
    outcomes = [row for row in source.outcomes if row["commit"] not in excluded]
    patches = [row for row in source.patches if row["commit"] not in excluded]
    closure.complete(planned, outcomes, list(about.agents))
    closure.overlaps(outcomes, patches)
    of_arm, compared = by_arm(outcomes), by_arm(source.comparisons)
    scores = {arm: agents.score(arm, of_arm[arm], compared) for arm in (HUMAN, *about.agents)}
    rows = tuple(agents.agent_row(about, scores[arm], of_arm[arm]) for arm in about.agents)
    duels = scoring.duels(list(about.agents), outcomes, source.comparisons)
    pending = sum(row["status"] == "pending" for row in outcomes)
    aa = noise.aa_pairs(source.twins)
    report = Report(
        patchbench=__version__,
        date=about.date or datetime.now(UTC).date().isoformat(),
        about=about,
        counts=Counts(
            tasks=len(source.tasks),
            planned=len(planned),
            excluded=len(source.tasks) - len(planned),
            outcomes=len(outcomes),
            pending=pending,
        ),
        agents=rows,
        human=agents.agent_row(about, scores[HUMAN], of_arm[HUMAN]) if of_arm[HUMAN] else None,
        types=agents.type_rows(rows, source.tasks),
        quality=quality.quality(source.tasks),
        failures=failures.of_agents(about, outcomes),
        all_failures=failures.listed(about, outcomes),
        task_failures=failures.of_tasks(about, outcomes),
        coverage=coverage.coverage(about, patches),
        mended=coverage.mended(about, patches),
        speedups=speedups.speedups(about, source, planned, outcomes),
        singles=speedups.singles(source.singles),
        pairs=agents.pair_rows(duels),
        aa=aa,
        identical=noise.identical(source.identical, about.rules),
        floors=noise.floors(source.comparisons),
        noise=noise.noise(source.comparisons, aa),
        unchecked=noise.unchecked(source.launches, list(about.agents)),
        machine=machine.machine(source.launches, patches, recorded),
    )
    closure.check(report)
    return said(report, [scores[arm] for arm in about.agents], duels)
