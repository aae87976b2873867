"""Compare each measured arm of a campaign with the baseline and with the human's commit, paired by
block, with one correction over the whole table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from statistics import median
from typing import NamedTuple

import msgspec

from patchbench.config import VerdictRules
from patchbench.records import AA, BASELINE, HUMAN, GradedRun, Metrics, Record, Task
from patchbench.verdicts import guards, rule
from patchbench.verdicts.clock import disagreement
from patchbench.verdicts.guards import SHOWN, measured_costs
from patchbench.verdicts.identical import Scatter, scatters
from patchbench.verdicts.launch_values import attempted, pairs, rounding
from patchbench.verdicts.looks import Looks, planned
from patchbench.verdicts.statistics import Paired, benjamini_hochberg, paired, projected

ROLES = ("primary", "guard", "cost", "human", "aa")


class Comparison(Record, frozen=True, kw_only=True):
    """One arm compared with a reference on one metric. ``ratio`` > 1 is better for every metric.

    ``low`` and ``high`` bound it with confidence ``level``, which is stricter than the rules' where
    there is more than one look; ``blocks`` is the number of blocks looked at (``pairs`` of them
    measured both arms), ``p`` is of one look. ``margin`` is what is worth calling a change,
    ``visible`` the smallest change that could have shown. ``scatter`` is that of identical code, in
    units of what the intervals allow, with its bound and its number of A/A pairs; ``widened`` is
    the factor by which it widened the interval. ``review`` says why a person should check it,
    ``blocks_needed`` is about how many blocks would decide an inconclusive one.

    ``selected_low`` and ``selected_high`` bound a gain that is shown because it is one: of such
    intervals, 5 % miss (false coverage rate, Benjamini and Yekutieli 2005).
    """

    commit: str
    arm: str
    reference: str
    metric: str
    role: str
    pairs: int
    value: float
    reference_value: float
    ratio: float
    low: float
    high: float
    p: float
    p_adjusted: float
    margin: float
    visible: float | None
    verdict: str
    blocks_needed: int | None = None
    at_least_human: bool | None = None
    level: float = 0.95
    blocks: int = 0
    widened: float = 1.0
    scatter: float | None = None
    scatter_bound: float | None = None
    scatter_pairs: int = 0
    review: str | None = None
    selected_low: float | None = None
    selected_high: float | None = None

    @property
    def paired(self) -> Paired:
        """The comparison's numbers in the form that the rules take."""
        return Paired(self.ratio, self.low, self.high, self.p, self.pairs)


class Question(NamedTuple):
    """A comparison to make: an arm with a reference, on a metric, in a role."""

    arm: str
    reference: str
    metric: str
    role: str


def compare_all(
    tasks: Mapping[str, Task],
    metrics: Mapping[str, Metrics],
    agents: Iterable[str],
    rules: VerdictRules,
    looks: Mapping[str, Looks] | None = None,
) -> list[Comparison]:
    """Return every comparison with its verdict. Only measured arms and only tasks with a measured
    baseline take part. ``looks`` are those of commits whose plan was another at the first look."""
    looks = {commit: planned(tasks[commit].protocol) for commit in metrics} | dict(looks or {})
    found = scatters(tasks, metrics)
    agents = list(agents)
    rows = [
        row
        for commit, commit_metrics in metrics.items()
        for question in questions(tasks[commit], commit_metrics, agents)
        if (
            row := compare(
                tasks[commit],
                commit_metrics.runs,
                question,
                rules,
                looks[commit],
                found.get((tasks[commit].subject.name, question.metric)),
            )
        )
        is not None
    ]
    doubts = {
        (row.commit, row.arm): doubt
        for row in rows
        if row.role == "primary"
        and (doubt := disagreement(tasks[row.commit], metrics[row.commit].runs, row.arm))
    }
    return _with_verdicts(rows, rules, doubts, looks)


def questions(task: Task, metrics: Metrics, agents: Sequence[str]) -> list[Question]:
    """Return the comparisons of a task: the human and each agent with the baseline on the primary
    metric, on every guard and on every cost, each agent with the human on the primary metric, and
    A/A launches with the baseline's, as if they were an agent's."""
    measured = {result.arm for result in metrics.arms if result.status == "measured"}
    if BASELINE not in measured:
        return []
    primary = task.primary_metric
    costs = measured_costs(metrics.runs)
    roles = {name: "cost" if name in SHOWN else "guard" for name in costs}
    roles |= dict.fromkeys(task.guard_metrics, "guard")
    roles = {primary: "primary"} | {name: role for name, role in roles.items() if name != primary}
    out = [
        Question(arm, BASELINE, metric, role)
        for arm in (HUMAN, *agents)
        if arm in measured
        for metric, role in roles.items()
    ]
    if HUMAN in measured:
        out += [Question(agent, HUMAN, primary, "human") for agent in agents if agent in measured]
    if any(run.arm == AA for run in metrics.runs):
        out.append(Question(AA, BASELINE, primary, "aa"))
    return out


def compare(
    task: Task,
    runs: Sequence[GradedRun],
    question: Question,
    rules: VerdictRules,
    looks: Looks,
    scatter: Scatter | None = None,
) -> Comparison | None:
    """Return one comparison, still without its verdict; None if no block has both values."""
    arm, reference, metric, role = question
    both = pairs(runs, arm, reference, metric)
    logs = both.logs(metric)
    if not logs:
        return None
    blocks = attempted(runs, arm, reference)
    once = role == "aa"  # the number of its blocks never depends on them
    level = rules.confidence if once else looks.level(blocks, rules.confidence)
    widen = scatter.widen if scatter else 1.0
    sides = [run for run in runs if run.arm in (arm, reference)]
    result = paired(logs, level, least=rounding(sides, both, metric), widen=widen)
    baseline = median(both.reference)
    margin = (
        guards.margin(metric, baseline, rules)
        if role in ("guard", "cost")
        else rules.margin_of(metric)
    )
    return Comparison(
        commit=task.commit,
        **question._asdict(),
        **result._asdict(),
        value=median(both.arm),
        reference_value=baseline,
        p_adjusted=result.p if once else looks.p(result.p, blocks),
        margin=margin,
        visible=rule.visible(result, margin),
        verdict="",
        level=level,
        blocks=blocks,
        widened=widen,
        scatter=scatter.times if scatter else None,
        scatter_bound=scatter.at_least if scatter else None,
        scatter_pairs=scatter.pairs if scatter else 0,
    )


def _with_verdicts(
    rows: list[Comparison],
    rules: VerdictRules,
    doubts: Mapping[tuple[str, str], str],
    looks: Mapping[str, Looks],
) -> list[Comparison]:
    """Adjust all p-values of a role together, then decide: guards first, then what they guard.
    ``doubts`` say by commit and arm why a gain can't be believed."""
    for role in ROLES:
        places = [i for i, row in enumerate(rows) if row.role == role]
        adjusted = benjamini_hochberg([rows[i].p_adjusted for i in places])
        for i, p in zip(places, adjusted, strict=True):
            rows[i] = msgspec.structs.replace(rows[i], p_adjusted=p)
    states: dict[tuple[str, str], list[rule.Guard]] = {}
    for row in rows:
        if row.role == "guard":
            states.setdefault((row.commit, row.arm), []).append(_guard(row, rules))
    rows = [
        _decided(
            row,
            rules,
            looks[row.commit],
            guards.worst(states.get((row.commit, row.arm), ()) if row.role == "primary" else ()),
        )
        for row in rows
    ]
    rows = [
        msgspec.structs.replace(row, verdict="suspicious")
        if row.role == "primary" and row.verdict in rule.GAINED and (row.commit, row.arm) in doubts
        else row
        for row in rows
    ]
    human = {row.commit: row.paired for row in rows if row.arm == HUMAN and reproduced(row)}
    equal = {
        (row.commit, row.arm)
        for row in rows
        if row.role == "human"
        and row.pairs >= rules.min_blocks
        and rule.is_not_worse(row.paired, row.margin)
    }
    rows = _selected(rows)
    return [
        _beside_human(
            row,
            human.get(row.commit),
            (row.commit, row.arm) in equal,
            rules,
            doubts.get((row.commit, row.arm)),
        )
        if row.role == "primary"
        else row
        for row in rows
    ]


def _selected(rows: Sequence[Comparison]) -> list[Comparison]:
    """Return the rows, primary ones that got better with the interval of a selected gain."""
    primary = [row for row in rows if row.role == "primary"]
    share = sum(row.verdict in rule.GAINED for row in primary) / max(1, len(primary))
    out = []
    for row in rows:
        if row.role == "primary" and row.verdict in rule.GAINED:
            level = 1 - (1 - row.level) * share
            wide = projected(row.paired, row.level, row.pairs, level)
            row = msgspec.structs.replace(row, selected_low=wide.low, selected_high=wide.high)
        out.append(row)
    return out


def reproduced(row: Comparison) -> bool:
    """Return True if the human's commit showed its gain here: better than the baseline beyond
    noise."""
    return row.role == "primary" and row.verdict in rule.GAINED


def _guard(row: Comparison, rules: VerdictRules) -> rule.Guard:
    if _verdict(row, rules) == "slower":
        return "lost"
    shown = row.pairs >= rules.min_blocks and rule.is_not_worse(row.paired, row.margin)
    return "held" if shown else "open"


def _verdict(row: Comparison, rules: VerdictRules, guard: rule.Guard = "held") -> rule.Verdict:
    return rule.decide(
        row.paired,
        p_adjusted=row.p_adjusted,
        margin=row.margin,
        min_blocks=rules.min_blocks,
        implausible=row.role == "primary" and row.ratio > rules.implausible,
        guard=guard,
    )


def _decided(row: Comparison, rules: VerdictRules, looks: Looks, guard: rule.Guard) -> Comparison:
    verdict, needed = _verdict(row, rules, guard), None
    if verdict == "inconclusive":
        over_looks = looks.p(row.p, row.blocks)
        needed = rule.blocks_to_decide(
            row.paired,
            level=row.level,
            table=row.p_adjusted / over_looks if over_looks else 1.0,
            margin=row.margin,
            looks=looks,
            confidence=rules.confidence,
            min_blocks=rules.min_blocks,
        )
    return msgspec.structs.replace(row, verdict=verdict, blocks_needed=needed)


def _beside_human(
    row: Comparison,
    human: Paired | None,
    equal: bool,
    rules: VerdictRules,
    doubt: str | None,
) -> Comparison:
    """Return a primary comparison with its standing to the human's gain added, and what a person
    should know: the doubt first."""
    why = None
    if row.verdict in rule.GAINED:
        over, times = rules.review_ratio, rules.review_human_gain
        why = doubt or rule.review(row.paired, human, over=over, times_human=times)
    return msgspec.structs.replace(
        row,
        review=why,
        at_least_human=row.arm != HUMAN and row.verdict == "faster" and equal,
    )
