"""Key findings: the most important first, each made from numbers by a rule."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from patchbench.report.model import Report
from patchbench.report.text.phrases import listed, percent, plural, was

# Who is charged where an agent is not, and the log says so.
OTHERS = ("task", "infra", "harness")


def findings(report: Report) -> tuple[str, ...]:
    """All that have something to say."""
    rules = (speedups, rates, blame, effects, ranking, reference, identical, types, review, against)
    return tuple(text for rule in rules for text in rule(report))


def speedups(report: Report) -> Iterator[str]:
    """What became of the patches, where speedups were measured."""
    if not report.about.compared:
        return
    agents = report.agents
    delivered = sum(row.delivered for row in agents)
    faster = sum(row.faster.part for row in agents)
    human = sum(row.human.part for row in agents)
    yield (
        f"Of {plural(delivered, 'patch', 'patches')} delivered, {faster:,} made the engine faster "
        f"beyond noise, and {human:,} of these {was(human)} at least as fast as the human's commit."
    )


def rates(report: Report) -> Iterator[str]:
    """How often patches gave metrics, where nothing more is known."""
    if report.about.compared:
        return
    shares = [row.success.share for row in report.agents if row.success.share is not None]
    measured = sum(row.measured for row in report.agents)
    delivered = sum(row.delivered for row in report.agents)
    if shares:
        yield (
            f"{measured:,} of {plural(delivered, 'patch', 'patches')} gave metrics; the agents' "
            f"success rates go from {percent(min(shares))} to {percent(max(shares))}. That a patch "
            "gave metrics does not say that it is faster: nothing here was repeated, so no speedup "
            "is claimed."
        )


def blame(report: Report) -> Iterator[str]:
    """Who is charged with the failures."""
    failed = sum(row.failed for row in report.agents)
    if not failed or report.about.kind == "counts":
        return
    charged = sum(row.blames["agent"] for row in report.agents)
    others = {
        name: sum(row.blames[name] for row in report.agents)
        for name in ("task", "infra", "harness", "unknown")
    }
    said = ", ".join(f"{count:,} {name}" for name, count in others.items() if count)
    yield (
        f"{plural(failed, 'patch', 'patches')} gave no valid measurement: {charged:,} "
        f"{was(charged)} charged to the agents, each with the line that shows it, and "
        f"{failed - charged:,} to others{f' ({said})' if said else ''}."
    )


def effects(report: Report) -> Iterator[str]:
    """What was imported names effects; how the rates would be without what others caused."""
    if report.about.compared:
        return
    unknown = sum(row.blames["unknown"] for row in report.agents)
    failed = sum(row.failed for row in report.agents)
    if unknown and report.about.kind == "counts":
        yield (
            f"{unknown:,} of {plural(failed, 'failure')} can be charged to nobody: the table names "
            "effects (a crash, no metrics), and without the logs their causes are unknown."
        )
    others = {row.arm: sum(row.blames[name] for name in OTHERS) for row in report.agents}
    total = sum(others.values())
    if total:
        rates = [
            f"{row.title} {row.measured}/{row.delivered - others[row.arm]} = "
            f"{percent(row.measured / (row.delivered - others[row.arm]))}"
            for row in report.agents
            if others[row.arm] and row.delivered > others[row.arm]
        ]
        without = f" Without them the rates would be {listed(rates)}." if rates else ""
        yield f"{plural(total, 'failure')} {was(total)} the task's or the machine's.{without}"


def ranking(report: Report) -> Iterator[str]:
    """Which agent is better, if that can be told."""
    if len(report.agents) > 1 and report.words.ranking:
        yield first_sentence(report.words.ranking)


def first_sentence(text: str) -> str:
    """What a paragraph begins with; the rest stands beside the numbers that it is about."""
    return f"{text.partition('. ')[0].rstrip('.')}."


def reference(report: Report) -> Iterator[str]:
    """How often the human's own gain was seen."""
    gone = [row for row in report.speedups if row.reference in ("reproduced", "not reproduced")]
    if report.about.compared and gone:
        seen = sum(row.reference == "reproduced" for row in gone)
        rest = "; of the others little can be said about any patch" if seen < len(gone) else ""
        yield (
            f"The human's gain was reproduced in {seen:,} of {plural(len(gone), 'task')} "
            f"compared{rest}."
        )


def identical(report: Report) -> Iterator[str]:
    """What the rule says of code that is the same: the report's test of itself."""
    verdicts = Counter(row.verdict for row in report.identical)
    if not verdicts:
        return
    different = sum(row.different for row in report.identical)
    yield (
        f"Identical code, judged as a patch would be, came out as same on {verdicts['same']:,} of "
        f"{plural(len(report.identical), 'task')}, inconclusive on {verdicts['inconclusive']:,} "
        f"and different on {different:,}."
    )


def types(report: Report) -> Iterator[str]:
    """Types of which nothing was measured, beside how much was tried."""
    nothing = [row for row in report.types if row.tasks and not row.total]
    if nothing and not report.counts.pending:
        said = listed([f"{row.type} ({plural(row.tasks or 0, 'task')})" for row in nothing])
        yield f"No patch gave metrics of type {said}."


def review(report: Report) -> Iterator[str]:
    """Gains that a person should see before they are quoted."""
    count = sum(row.to_review for row in report.agents)
    if count:
        yield (
            f"{plural(count, 'gain')} should be looked at by a person before being quoted (marked "
            "`?`): large, or far beyond the human's."
        )


def against(report: Report) -> Iterator[str]:
    """What changed since another campaign."""
    if report.against is None:
        return
    real = [change for change in report.against.changes if change.judgement == "changed"]
    yield (
        f"Against {report.against.name}: of {plural(report.against.common, 'outcome')} in both, "
        f"{len(report.against.changes):,} differ, {len(real):,} of them beyond noise."
    )
