"""What the results mean: for agent developers, for the benchmark's owners, for research."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from patchbench.failures.causes import CAUSES
from patchbench.report.model import Report
from patchbench.report.text.phrases import listed, percent, plural, sentence_case, was

BEFORE_GPU = ("fetch_patch", "validate_patch", "build_image")
SHOWN = 3


def for_agents(report: Report) -> Iterator[str]:
    """What would have made more patches count."""
    causes, stages = Counter[str](), Counter[str]()
    for row in report.failures:
        for cause in row.causes:
            if cause.blame == "agent":
                causes[cause.cause] += cause.count
                stages[cause.stage] += cause.count
    total = stages.total()
    early = sum(stages[stage] for stage in BEFORE_GPU)
    if total:
        yield (
            f"{early:,} of {plural(total, 'failure')} charged to agents could have been found "
            "without a GPU, by applying, compiling and importing the patch."
        )
    for name, count in causes.most_common(SHOWN):
        known = CAUSES.get(name, CAUSES["unknown"])
        yield f"{sentence_case(known.title)} ({plural(count, 'patch', 'patches')}): {known.advice}."
    flat = sum(row.verdicts["same"] + row.verdicts["inconclusive"] for row in report.agents)
    if flat:
        yield (
            f"{plural(flat, 'measured patch', 'measured patches')} showed no gain beyond noise: "
            "measure before delivering."
        )
    slower = sum(row.verdicts["slower"] for row in report.agents)
    if slower:
        yield f"{plural(slower, 'patch', 'patches')} made the engine slower."
    if report.about.compared and not total and not report.counts.pending:
        yield "No failure is charged to an agent."
    if report.about.kind == "counts":
        yield (
            "The table says that patches crashed or gave no metrics, not why; keep the logs, and "
            "import those (`patchbench import`)."
        )


def for_owners(report: Report) -> Iterator[str]:
    """What the list and the set-up lose."""
    counts = report.counts
    if counts.excluded:
        verb = "stands" if counts.excluded == 1 else "stand"
        yield (
            f"{plural(counts.excluded, 'task')} of {counts.tasks:,} can't be run here and {verb} "
            "outside every rate."
        )
    elif report.about.compared:
        yield f"All {plural(counts.tasks, 'task')} of the list can be run here."
    missing = sum(row.missing for row in report.agents)
    if missing:
        said = listed([f"{row.title} {row.missing}" for row in report.agents if row.missing])
        yield (
            f"{plural(missing, 'patch', 'patches')} never came ({said}): coverage, not skill, and "
            "outside every rate."
        )
    conflicts = sum(row.conflicts for row in report.coverage)
    if conflicts:
        yield (
            f"{plural(conflicts, 'patch', 'patches')} {was(conflicts)} found in several places "
            "that disagree; the source named first was taken."
        )
    lost = sum(sum(row.blames[b] for b in ("task", "infra", "harness")) for row in report.agents)
    if lost:
        yield f"{plural(lost, 'patch', 'patches')} {was(lost)} lost through no fault of an agent."
    if report.quality.notes:
        yield f"{plural(len(report.quality.notes), 'task')} of the list contradict themselves."
    if report.about.compared and report.unchecked:
        yield (
            f"The output of {plural(len(report.unchecked), 'commit')} could not be compared with "
            "the baseline's: give those benchmarks an output check."
        )


def for_research(report: Report) -> Iterator[str]:
    """How far the numbers carry."""
    measured = sum(row.measured for row in report.agents)
    yield (
        f"{plural(measured, 'measured patch', 'measured patches')} in all; every rate stands with "
        "its denominator and a 95 % interval."
    )
    if report.quality.not_reproduced:
        short = listed([commit[:8] for commit in report.quality.not_reproduced])
        yield f"The human's gain was not seen here for {short}: read those rows apart."
    open_ = sum(row.verdicts["inconclusive"] for row in report.agents)
    if open_:
        yield f"{plural(open_, 'verdict')} {was(open_)} left open by the noise."
    if report.floors:
        low, high = min(f.floor for f in report.floors), max(f.floor for f in report.floors)
        span = percent(low) if low == high else f"{percent(low)} to {percent(high)}"
        yield f"Identical code differs here by {span}: smaller gains can't be told from noise."
    if not report.about.compared:
        yield (
            "Nothing was repeated or paired: single launches of identical code can differ by a "
            "quarter, so these values carry no verdicts."
        )
    judged = [row.judged for row in report.agents]
    if judged and max(judged) < 30:
        yield (
            "With fewer than 30 patches judged per agent, only large differences between agents "
            "can show."
        )
