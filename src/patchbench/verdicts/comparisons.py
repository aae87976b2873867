"""Compare each measured arm of a campaign with the baseline and with the human's commit, paired by
block, with one floor per metric and one correction over the whole table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from statistics import median
from typing import NamedTuple

import msgspec

from patchbench.config import VerdictRules
from patchbench.records import AA, BASELINE, HUMAN, GradedRun, Metrics, Record, Task
from patchbench.verdicts import rule
from patchbench.verdicts.clock import disagreement
from patchbench.verdicts.guards import SHOWN, margin, measured_costs
from patchbench.verdicts.noise_floor import Floor, floors, pairs
from patchbench.verdicts.statistics import Paired, benjamini_hochberg, level, paired, planned

ROLES = ("primary", "guard", "cost", "human", "aa")


class Comparison(Record, frozen=True, kw_only=True):
    """One arm compared with a reference on one metric. ``ratio`` > 1 is better for every metric.

    ``low`` and ``high`` bound it with confidence ``level``, which is stricter if a task may have
    two looks (``looks``); ``p`` is of one look. ``review`` says why a person should check it,
    ``blocks_needed`` is about how many blocks would decide an inconclusive one.
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
    floor: float
    verdict: str
    blocks_needed: int | None = None
    at_least_human: bool | None = None
    level: float = 0.95
    looks: int = 1
    floor_pairs: int = 0
    floor_source: str = ""
    review: str | None = None

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
    noise: Mapping[tuple[str, str], Floor] | None = None,
) -> list[Comparison]:
    """Return every comparison with its verdict. Only measured arms and only tasks
    with a measured baseline take part. ``noise`` are the floors by commit and metric, if they come
    from other blocks than these."""
    noise = floors(tasks, metrics, rules.min_floor) if noise is None else noise
    agents = list(agents)
    rows = [
        row
        for commit, commit_metrics in metrics.items()
        for question in questions(tasks[commit], commit_metrics, agents)
        if (row := compare(tasks[commit], commit_metrics.runs, question, rules, noise)) is not None
    ]
    doubts = {
        (row.commit, row.arm): doubt
        for row in rows
        if row.role == "primary"
        and (doubt := disagreement(tasks[row.commit], metrics[row.commit].runs, row.arm))
    }
    return _with_verdicts(rows, rules, doubts)


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
    noise: Mapping[tuple[str, str], Floor],
) -> Comparison | None:
    """Return one comparison, still without its verdict; None if no block has both values."""
    both = pairs(runs, question.arm, question.reference, question.metric)
    logs = both.logs(question.metric)
    if not logs:
        return None
    # The number of blocks never depends on identical code, so it has one look.
    looks = 1 if question.role == "aa" else planned(task.protocol).looks
    confidence = level(rules.confidence, looks)
    result = paired(logs, confidence)
    floor = noise.get((task.commit, question.metric), Floor(rules.min_floor))
    least = 0.0 if question.role == "primary" else margin(question.metric, median(both.reference))
    if least > floor.change:
        floor = Floor(least)
    return Comparison(
        commit=task.commit,
        **question._asdict(),
        **result._asdict(),
        value=median(both.arm),
        reference_value=median(both.reference),
        p_adjusted=min(1.0, looks * result.p),
        floor=floor.change,
        verdict="",
        level=confidence,
        looks=looks,
        floor_pairs=floor.pairs,
        floor_source=floor.source,
    )


def _with_verdicts(
    rows: list[Comparison], rules: VerdictRules, doubts: Mapping[tuple[str, str], str]
) -> list[Comparison]:
    """Adjust all p-values of a role together, then decide: guards first, then what they guard.
    ``doubts`` say by commit and arm why a gain can't be believed."""
    for role in ROLES:
        places = [i for i, row in enumerate(rows) if row.role == role]
        adjusted = benjamini_hochberg([rows[i].p_adjusted for i in places])
        for i, p in zip(places, adjusted, strict=True):
            rows[i] = msgspec.structs.replace(rows[i], p_adjusted=p)
    lost = {
        (row.commit, row.arm)
        for row in rows
        if row.role == "guard" and _verdict(row, rules) == "slower"
    }
    rows = [
        _decided(row, rules, guard_lost=row.role == "primary" and (row.commit, row.arm) in lost)
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
        and rule.at_least_human(row.paired, row.floor)
    }
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


def reproduced(row: Comparison) -> bool:
    """Return True if the human's commit showed its gain here: better than the baseline beyond
    noise."""
    return row.role == "primary" and row.verdict in rule.GAINED


def _verdict(row: Comparison, rules: VerdictRules, *, guard_lost: bool = False) -> rule.Verdict:
    return rule.decide(
        row.paired,
        p_adjusted=row.p_adjusted,
        floor=row.floor,
        min_blocks=rules.min_blocks,
        implausible=row.role == "primary" and row.ratio > rules.implausible,
        guard_lost=guard_lost,
    )


def _decided(row: Comparison, rules: VerdictRules, *, guard_lost: bool = False) -> Comparison:
    verdict, needed = _verdict(row, rules, guard_lost=guard_lost), None
    if verdict == "inconclusive":
        needed = rule.blocks_to_decide(
            row.paired,
            times=row.p_adjusted / row.p if row.p else 1.0,
            floor=row.floor,
            confidence=row.level,
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
