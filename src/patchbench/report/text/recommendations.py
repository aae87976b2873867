"""What to do next: rules over the numbers, the most useful first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from patchbench.failures.causes import CAUSES
from patchbench.plan.exclusions import ADVICE
from patchbench.report.model import Report
from patchbench.report.text.phrases import listed, percent, plural, sentence_case

# As many blocks as a task may have (config.schema.yaml).
MOST = 99
# Rows of one kind that are named one by one; of more their number is told.
NAMED = 5


def recommendations(report: Report) -> tuple[str, ...]:
    """Everything that the data ask for."""
    rules = (pending, open_verdicts, faults, tasks, exclusions, coverage, agents, noise, logs)
    found = tuple(text for rule in rules for text in rule(report))
    return found or ("Nothing is open: every planned patch has its outcome.",)


def pending(report: Report) -> Iterator[str]:
    """A campaign that isn't finished."""
    if report.counts.pending and report.about.compared:
        yield (
            f"{plural(report.counts.pending, 'outcome')} pending: run the same command again; what "
            "is measured is kept."
        )


def open_verdicts(report: Report) -> Iterator[str]:
    """Inconclusive comparisons and what would decide them."""
    found = [
        (row.commit[:8], cell.arm, cell.blocks_needed)
        for row in report.speedups
        for cell in row.cells
        if cell.verdict == "inconclusive" and cell.status == "measured"
    ]
    for commit, arm, blocks in found[:NAMED]:
        yield (
            f"{commit} {arm} is inconclusive: about {blocks} blocks would decide, if its ratio and "
            "spread stay as they are (`protocol.blocks`)."
            if blocks
            else f"{commit} {arm} is inconclusive: its gain lies at the noise floor, and more "
            "blocks would hardly decide it."
        )
    if len(found) > NAMED:
        yield (
            f"{plural(len(found) - NAMED, 'more verdict')} inconclusive (filter the table of "
            "patches): give more `protocol.blocks`, or a quieter machine."
        )


def faults(report: Report) -> Iterator[str]:
    """Failures of the machine and of ours, by cause."""
    causes: Counter[str] = Counter()
    for row in report.failures:
        for cause in row.causes:
            if cause.blame in ("infra", "harness"):
                causes[cause.cause] += cause.count
    for name, count in causes.most_common(NAMED):
        known = CAUSES.get(name, CAUSES["unknown"])
        patches = plural(count, "patch", "patches")
        yield f"{sentence_case(known.title)} ({patches}, `{name}`): {known.advice}."


def tasks(report: Report) -> Iterator[str]:
    """Tasks whose own arms fail."""
    for row in report.task_failures[:NAMED]:
        advice = CAUSES.get(row.cause, CAUSES["unknown"]).advice
        yield f"{row.commit[:8]}: the {row.arm} arm failed (`{row.cause}`): {advice}."
    more = len(report.task_failures) - NAMED
    if more > 0:
        yield f"{plural(more, 'more arm')} of baseline and human failed; mend those tasks."


def exclusions(report: Report) -> Iterator[str]:
    """What would bring excluded tasks back."""
    for reason, count in report.quality.reasons.items():
        advice = ADVICE.get(reason, "see the evidence in the table of excluded tasks")
        if not advice.startswith("nothing"):
            yield f"{plural(count, 'task')} excluded as `{reason}`: {advice}."


def coverage(report: Report) -> Iterator[str]:
    """Patches that never came."""
    for row in report.coverage:
        if row.missing_commits:
            short = listed([commit[:8] for commit in row.missing_commits], 12)
            yield f"Have {row.title} run on {short}."


def agents(report: Report) -> Iterator[str]:
    """The check that would have saved most patches."""
    stages: Counter[str] = Counter()
    for row in report.failures:
        for cause in row.causes:
            if cause.blame == "agent":
                stages[cause.stage] += cause.count
    if stages.total() < NAMED:
        return
    stage, count = stages.most_common(1)[0]
    yield (
        f"{percent(count / stages.total())} of the failures charged to agents come at `{stage}`: "
        "check that step in the agent's own loop."
    )


def noise(report: Report) -> Iterator[str]:
    """A noisy machine, and gains to be seen."""
    fooled = [row.commit[:8] for row in report.identical if row.different]
    if fooled:
        yield (
            f"Identical code was called different on {listed(fooled)}: quote nothing of these "
            "tasks before they are measured again."
        )
    open_ = [row for row in report.identical if row.verdict == "inconclusive" and row.blocks_needed]
    if open_:
        more = max((row.blocks_needed or 0) - row.pairs for row in open_)
        rules = report.about.rules
        # Finished blocks get no pair, and which those are is not known here: so many at the most.
        blocks = max(rules.blocks, rules.max_blocks, rules.aa_blocks) + more if rules else MOST + 1
        how = (
            f"about {more} more A/A pairs would (`protocol.aa_blocks: {blocks}` adds at least so "
            "many; two launches a pair, no arm runs again)"
            if blocks <= MOST
            else "it would take more A/A pairs than a task can have"
        )
        names = listed([row.commit[:8] for row in open_])
        yield f"Identical code can't be called the same yet on {names}: {how}."
    strange = [
        f"{row.commit[:8]} {cell.arm}" for row in report.speedups for cell in row.cells
        if cell.review
    ]  # fmt: skip
    if strange:
        yield f"Look at the gains marked for review before quoting them: {listed(strange)}."


def logs(report: Report) -> Iterator[str]:
    """Failures that nothing explains."""
    if report.about.kind == "counts":
        yield "Import the result folders themselves: only logs can tell causes and blame."
        return
    unknown = sum(row.blames["unknown"] for row in report.failures)
    if unknown:
        yield (
            f"{plural(unknown, 'failure')} nothing explains: read the logs, and add what they show "
            "to `failures/signatures.json`."
        )
