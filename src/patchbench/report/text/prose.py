"""Write the report's standing paragraphs: the meaning of the tables, and the methods."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import TypedDict

from patchbench.report.about import Rules
from patchbench.report.model import Report
from patchbench.report.text.phrases import duration, listed, percent, plural
from patchbench.verdicts.guards import LEAST_LOSS
from patchbench.verdicts.rule import GAINED

KINDS = {
    "campaign": "measured in paired, repeated blocks",
    "single-shot": "imported single launches, read again from their raw output; nothing was "
    "repeated or paired, so there are no speedup verdicts",
    "counts": "imported counts without any raw output; causes are as the table names them, and "
    "blame only where the cause alone decides it",
}
LEGEND = (
    "Ratio to the baseline on the task's primary metric, paired by block (over 1 is better for "
    "every metric), with its interval. Marks: `+` faster, `-` slower, `=` same (within the "
    "margin), `~` inconclusive, `⊕` faster, but a guard is open, `±` trade-off (a guard metric "
    "lost), `!` suspicious, `x` wrong output; `?` after a mark: a person should check it before "
    "it is quoted. A word in code is the cause of having no measurement. After a faster patch: "
    "`> human` faster than the human's commit, `≥ human` not worse by more than the margin, `~ "
    "human` can't be told apart from it, `< human` slower."
)


ANSWERS = (
    "Answers that were given under load are scored by the baseline's server: the gap is how far a "
    "token's log probability lies below that of the baseline's own first choice, in nats. Where "
    "scores could not be used, the fixed prompts are the weaker check."
)


class Prose(TypedDict):
    """Paragraphs by the names that both templates use. Code spans are in backticks."""

    measured: str
    kind: str
    partial: str
    noisy: str
    summary: str
    footnotes: list[str]
    quality: str
    legend: str
    why_none: str
    unchecked: str
    self_measured: str
    answers: str
    guards: str
    compared: str
    methods: list[str]


def prose(report: Report) -> Prose:
    """Return all paragraphs."""
    return Prose(
        measured=measured(report),
        kind=KINDS[report.about.kind],
        partial=partial(report),
        noisy=noisy(report),
        summary=" ".join(summary(report)),
        footnotes=list(footnotes(report)),
        quality=" ".join(quality(report)),
        legend=LEGEND,
        why_none=f"{KINDS[report.about.kind]}.",
        unchecked=listed([commit[:8] for commit in report.unchecked]),
        self_measured=self_measured(report),
        answers=ANSWERS,
        guards=guards(),
        compared=compared(report),
        methods=list(methods(report)),
    )


def partial(report: Report) -> str:
    """Say how many outcomes are pending, and the next step; empty for a complete report."""
    counts = report.counts
    if not counts.pending:
        return ""
    pending = [f"{row.title} {row.pending:,}" for row in report.agents if row.pending]
    where = listed(pending) or "baseline and human arms"
    text = f"{plural(counts.pending, 'outcome')} of {counts.outcomes:,}"
    if report.about.compared:
        return (
            f"{text} still pending ({where}). Run the same command again to finish; nothing "
            "measured is lost."
        )
    return f"{text} without a result in what was imported ({where})."


def noisy(report: Report) -> str:
    """Return a sentence if only large changes could be seen, and one if identical code scatters
    more than the intervals allow; nothing if neither."""
    return " ".join(filter(None, (_hidden(report), _scattered(report))))


def _scattered(report: Report) -> str:
    wide = [row for row in report.scatters if row.widened > 1]
    if not wide:
        return ""
    each = [
        f"{row.widened:.1f} times on `{row.metric}` (at least {row.bound:.1f} with 99 % "
        f"confidence, {plural(row.pairs, 'A/A pair')})"
        for row in wide
    ]
    return (
        "Identical code scattered more than the intervals allow, so they are widened: "
        f"{listed(each)}."
    )


def _hidden(report: Report) -> str:
    noise = report.noise
    if noise is None:
        return ""
    some = len(noise.commits) < noise.tasks
    where = f" on {len(noise.commits):,} of {noise.tasks:,} tasks" if some else ""
    load = report.machine.load
    beside = "" if load is None else f", load average beside the launches {load:.1f}"
    return (
        "The machine was too busy or too noisy to tell differences below "
        f"{100 * noise.limit:.0f} %{where} (`{noise.metric}` of {noise.commit[:8]}; "
        f"{plural(noise.aa_pairs, 'A/A pair')}{beside}): measure again on a quieter machine, or "
        "with more windows or blocks, before quoting smaller gains."
    )


def self_measured(report: Report) -> str:
    """Return one sentence if figures are those of the commits' own benchmarks, else nothing."""
    own = report.self_measured
    if not own:
        return ""
    all_ = len(own) == len(report.measuring)
    where = "all tasks" if all_ else listed(sorted(commit[:8] for commit in own))
    return (
        f"the figures of {where} come from the commits' own benchmarks (`measure: own`): processes "
        "that run patched code timed and counted themselves. A gain whose claimed time disagrees "
        "with the clock outside is suspicious and does not count; smaller ones can't be told."
    )


def guards() -> str:
    """Say which losses make a gain a trade-off."""
    least = [f"`{name}` {100 * loss:.0f} %" for name, loss in LEAST_LOSS.items()]
    return (
        "Guards: a gain counts only if every guard is shown not to lose more than its margin; one "
        "that may lose more is open, one that does makes a trade-off. Costs measured from "
        f"outside have margins of {listed(least)} (a start that is a second longer, at "
        "least); others are shown only."
    )


def measured(report: Report) -> str:
    """Say how much was measured, where, and when."""
    machine, about = report.machine, report.about
    if not about.compared:
        return f"{plural(report.counts.tasks, 'task')}, not by us"
    text = f"{plural(machine.launches, 'launch', 'launches')} of "
    text += plural(report.counts.planned, "task")
    if rules := about.rules:
        most = f" to {rules.max_blocks}" if rules.max_blocks > rules.blocks else ""
        text += f" in {rules.blocks}{most} blocks each"
        if rules.aa_blocks > max(rules.blocks, rules.max_blocks):
            text += f" and {rules.aa_blocks} A/A pairs"
    if machine.first:
        first, last = (datetime.fromisoformat(at) for at in (machine.first, machine.last))
        text += f", {first:%Y-%m-%d %H:%M} to {last:%Y-%m-%d %H:%M} UTC"
    known = [*machine.gpus, *([plural(len(machine.busy), "GPU slot")] if machine.busy else [])]
    slots = f" ({'; '.join(known)})" if known else ""
    return f"{text}, on {listed(machine.hosts) or 'no machine yet'}{slots}"


def summary(report: Report) -> Iterator[str]:
    """Explain the agents' table."""
    if report.about.kind == "counts":
        yield '"Measured" means that the table calls a patch a success: its benchmark gave metrics.'
    else:
        yield (
            'Each agent was asked to reproduce real performance commits. "Measured" means that '
            "the patched engine gave valid metrics, not that it is faster."
        )
        if report.about.compared:
            human = (
                ', "at least as fast as the human" that it is faster and not worse than the '
                "human's commit by more than the margin"
            )
            beside = human if report.human else ""
            yield f'"Faster" means that its gain is beyond noise and every guard held{beside}.'
    if report.about.compared:
        yield (
            "Rates are over the patches that count: those delivered, less those that failed "
            "through no fault of the agent."
        )
    else:
        yield (
            "The rate of patches that ran to valid metrics (ISO-Bench's success rate) is over all "
            "patches delivered: nothing was paired with a baseline "
            "that could show who is to blame for a failed launch."
        )
    yield "Square brackets are 95 % intervals."


def footnotes(report: Report) -> Iterator[str]:
    """Say which agents have no patch for some tasks."""
    for row in report.agents:
        if row.missing:
            yield (
                f"{row.title}: {row.delivered} of {row.planned} tasks have a patch "
                f"({percent(row.delivered / row.planned)}), {row.missing} "
                f"{'has' if row.missing == 1 else 'have'} none."
            )


def quality(report: Report) -> Iterator[str]:
    """Describe the task list in one to three sentences."""
    counts = report.counts
    yield (
        f"{plural(counts.tasks, 'task')} in the list: {counts.planned:,} can be run, "
        f"{counts.excluded:,} can't."
    )
    parents = [f"{count:,} from {origin}" for origin, count in report.quality.parents.items()]
    if parents:
        yield f"Parents: {', '.join(parents)}."
    reasons = [f"{count:,} `{reason}`" for reason, count in report.quality.reasons.items()]
    if reasons:
        yield f"Excluded: {', '.join(reasons)}."
    gone = len(report.quality.not_reproduced)
    if gone:
        short = listed([commit[:8] for commit in report.quality.not_reproduced])
        yield f"On {plural(gone, 'task')} the human's own gain was not seen: {short}."


def compared(report: Report) -> str:
    """Say how two campaigns are compared."""
    other = report.compared_with
    if other is None:
        return ""
    parts = [
        f"{plural(other.common, 'outcome')} stand in both campaigns (`{other.results}`); "
        f"{plural(other.compared, 'ratio')} could be compared, {other.equal:,} outcomes are the "
        "same in kind.",
        "A ratio changed if the difference of its logarithms is beyond both campaigns' intervals "
        "(Welch's t, adjusted over all of them) and beyond the larger margin; else the "
        "difference is noise.",
    ]
    for count, where in (
        (other.tasks_only_here, "this campaign only"),
        (other.tasks_only_there, "the other only"),
    ):
        if count:
            parts.append(f"{plural(count, 'task')} in {where}.")
    for names, where in (
        (other.agents_only_here, "this campaign only"),
        (other.agents_only_there, "the other only"),
    ):
        if names:
            parts.append(f"Agents in {where}: {listed(names)}.")
    return " ".join(parts)


def methods(report: Report) -> Iterator[str]:
    """Say how the numbers were made."""
    yield from report.about.notes
    if not report.about.compared:
        yield (
            "Rates stand with Wilson's 95 % interval; two agents are compared on the commits that "
            "count for both, by McNemar's exact test, adjusted over all pairs (Holm)."
        )
        yield "A missing patch is lack of coverage: it counts in no rate."
        return
    yield "One rendered workload per task, the same for every arm."
    if any(row.measured_by == "judge" for row in report.measuring):
        yield (
            "The judge sends the load and measures from outside; it runs no code of the subject, "
            "and no figure is one that patched code reports. See `docs/judge.md`."
        )
    if report.self_measured or not report.measuring:
        yield "The commit's own benchmark client is always the baseline's."
    if rules := report.about.rules:
        yield from _protocol(rules)
        yield from _statistics(report, rules)
    yield (
        "A failed launch is charged to an agent only if its log shows the failure and the baseline "
        "of the same block worked; a patch that does not apply or compile is charged to its agent. "
        "See `docs/blame.md` and `docs/verdicts.md`."
    )
    machine = report.machine
    if machine.first:
        yield (
            f"Measured {machine.first[:10]} to {machine.last[:10]} with "
            f"{'; '.join(machine.versions) or 'no versions recorded'}; runtime "
            f"{', '.join(machine.runtimes) or report.about.runtime}."
        )


def _protocol(rules: Rules) -> Iterator[str]:
    more = ""
    if rules.max_blocks > rules.blocks:
        more = f", up to {rules.max_blocks} with the arms for which they can decide something"
    yield (
        f"{rules.blocks} blocks per task{more}; each launches every arm once, in rotated order; an "
        f"arm that failed in {rules.arm_failures} blocks in the same way is not launched again. "
        f"{_twice(rules)}"
    )
    yield (
        f"Time limits: server start {duration(rules.start_limit)}, benchmark "
        f"{duration(rules.benchmark_limit)}, build {duration(rules.build_limit)}."
    )


def _twice(rules: Rules) -> str:
    blocks = rules.aa_blocks
    if not blocks:
        return "The baseline never runs twice in a block, so identical code is not tested."
    first = "block" if blocks == 1 else f"{blocks} blocks"
    alone = ", alone in those that no arm needs" if blocks > rules.blocks else ""
    return f"The baseline runs twice in the first {first} (A/A){alone}."


def _statistics(report: Report, rules: Rules) -> Iterator[str]:
    hypotheses = sum(cell.ratio is not None for row in report.speedups for cell in row.cells)
    yield (
        "Ratios are paired by block on the log scale; Student's t interval, "
        f"{rules.confidence:.0%} over all looks at the blocks; p-values adjusted "
        f"over all {hypotheses:,} comparisons with the baseline (Benjamini-Hochberg)."
    )
    yield (
        "Faster: the interval lies above 1, the point above the margin of "
        f"{percent(rules.margin)}, the adjusted p is below 0.05, and every guard is shown not "
        f"to lose more than its margin ({percent(rules.guard_margin)} if not said otherwise). "
        f"Same: the whole interval lies within the margin. An arm with fewer than "
        f"{rules.min_blocks} measured blocks stays inconclusive."
    )
    gains = sum(cell.verdict in GAINED for row in report.speedups for cell in row.cells)
    if gains:
        yield (
            f"Gains are shown because they are gains ({gains:,} of {hypotheses:,}): the intervals "
            "of which 5 % miss after that choice (false coverage rate) are `selected_low` and "
            "`selected_high` in the table of comparisons."
        )
    yield (
        f"A ratio over {rules.implausible:g} is suspicious and not counted; one over "
        f"{rules.review_ratio:g}, or a gain over {rules.review_human_gain:g} times the human's, is "
        "marked for review."
    )
