"""Build the whole report from tables: count, check that the sums close, and write the sentences."""

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
    measuring,
    noise,
    patch_quality,
    quality,
    shapes,
    speedups,
)
from patchbench.report.frames import records
from patchbench.report.model import AaPair, Counts, Report
from patchbench.report.read_tables import Tables
from patchbench.report.recorded import Recorded
from patchbench.report.text import with_words
from patchbench.verdicts import scores
from patchbench.verdicts.rule import GAINED


def build(about: About, tables: Tables, recorded: Recorded | None = None) -> Report:
    """Return the whole report. Raises Inconsistent if its numbers don't add up."""
    recorded = recorded or Recorded()
    tasks, compared = tables.tasks, tables.comparisons
    excluded = tasks.loc[tasks["status"] == "excluded", "commit"]
    outcomes = tables.outcomes[~tables.outcomes["commit"].isin(excluded)]
    patches = tables.patches[~tables.patches["commit"].isin(excluded)]
    planned = len(tasks) - len(excluded)
    closure.complete(planned, outcomes, list(about.agents))
    closure.overlaps(outcomes, patches)
    primary = compared[compared["role"] == "primary"]
    gained = (primary["arm"] == HUMAN) & primary["verdict"].isin(GAINED)
    reproduced = set(primary.loc[gained, "commit"])
    scored = scores.with_ratios(outcomes, compared)
    lines = {
        arm: agents.agent_row(about, arm, scored[scored["arm"] == arm], reproduced)
        for arm in (HUMAN, *about.agents)
    }
    rows = tuple(lines[arm] for arm in about.agents)
    aa = noise.aa_pairs(tables.values, tasks)
    checked = measuring.answers(about, tables)
    report = Report(
        patchbench=__version__,
        date=about.date or datetime.now(UTC).date().isoformat(),
        about=about,
        counts=Counts(
            tasks=len(tasks),
            planned=planned,
            excluded=len(excluded),
            outcomes=len(outcomes),
            pending=int((outcomes["status"] == "pending").sum()),
        ),
        agents=rows,
        human=lines[HUMAN] if lines[HUMAN].planned else None,
        types=agents.type_rows(rows, tasks),
        quality=quality.quality(tasks),
        failures=failures.of_agents(about, outcomes),
        all_failures=failures.listed(about, outcomes),
        task_failures=failures.of_tasks(about, outcomes),
        coverage=coverage.coverage(about, patches),
        mended=coverage.mended(about, patches),
        patch_quality=patch_quality.patch_quality(about, patches, outcomes),
        speedups=speedups.speedups(about, tables, scored),
        measuring=measuring.measuring(tables),
        answers=checked,
        findings=measuring.findings(about, tables),
        guards=measuring.guards(about, tables),
        singles=() if about.compared else speedups.singles(tables.values),
        pairs=scores.pairs(list(about.agents), scored),
        aa=records(aa, AaPair),
        identical=noise.identical(compared, about.rules),
        scatters=noise.scatters(compared),
        shapes=shapes.shapes(tables.values, tables.launches, compared),
        noise=noise.noise(compared, aa),
        visible=noise.visible(compared),
        unchecked=measuring.unchecked(about, checked),
        machine=machine.machine(tables.launches, patches, recorded),
    )
    closure.check(report)
    return with_words(report)
