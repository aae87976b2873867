"""All comparisons of a campaign: each measured arm with the baseline and with the human's commit,
paired by block, with one floor per subject and metric and one correction over the whole table."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import msgspec

from patchbench import verdicts
from patchbench.campaign import Statistics
from patchbench.parsing.names import METRICS
from patchbench.records import AA, BASELINE, HUMAN, GradedRun, Metrics, Record, Task
from patchbench.statistics import (
    Paired,
    benjamini_hochberg,
    blocks_needed,
    log_ratio,
    noise_floor,
    paired,
)


class Comparison(Record, frozen=True, kw_only=True):
    """One arm against a reference on one metric. ``ratio`` > 1 is better for every metric."""

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


class _Pairs(NamedTuple):
    """Values of an arm and its reference in the blocks where both were measured."""

    arm: list[float]
    reference: list[float]

    def compare(self, metric: str, confidence: float) -> Paired | None:
        direction = METRICS[metric].direction
        pairs = zip(self.arm, self.reference, strict=True)
        logs = [log_ratio(a, b, direction) for a, b in pairs if a > 0 and b > 0]
        return paired(logs, confidence) if logs else None


def pairs(runs: Iterable[GradedRun], arm: str, reference: str, metric: str) -> _Pairs:
    """Pair two arms' values of a metric by block."""
    values: dict[str, dict[int, float]] = defaultdict(dict)
    for run in runs:
        if run.status == "measured" and metric in run.metrics:
            values[run.arm][run.block] = run.metrics[metric]
    common = sorted(values[arm].keys() & values[reference].keys())
    return _Pairs([values[arm][b] for b in common], [values[reference][b] for b in common])


def aa_logs(runs: Iterable[GradedRun], metric: str) -> list[float]:
    """Log ratios of the baseline's second launch to its first, one per A/A block."""
    found = pairs(runs, AA, BASELINE, metric)
    both = zip(found.arm, found.reference, strict=True)
    return [log_ratio(a, b, METRICS[metric].direction) for a, b in both if a > 0 and b > 0]


# With fewer A/A pairs than this on a metric its quantile means nothing: all metrics that decide
# tasks of the subject lend theirs.
ENOUGH_AA = 5


def floors(
    tasks: Mapping[str, Task], metrics: Mapping[str, Metrics], smallest: float
) -> dict[tuple[str, str], float]:
    """Noise floor per subject and metric, from all A/A pairs of the campaign."""
    own: dict[tuple[str, str], list[float]] = defaultdict(list)
    primary: dict[str, list[float]] = defaultdict(list)
    for commit, found in metrics.items():
        task = tasks[commit]
        for metric in {task.primary_metric, *task.guard_metrics}:
            own[task.subject.name, metric] += aa_logs(found.runs, metric)
        primary[task.subject.name] += aa_logs(found.runs, task.primary_metric)
    return {
        key: noise_floor(logs if len(logs) >= ENOUGH_AA else logs + primary[key[0]], smallest)
        for key, logs in own.items()
    }


def compare_all(
    tasks: Mapping[str, Task],
    metrics: Mapping[str, Metrics],
    agents: Iterable[str],
    rules: Statistics,
) -> list[Comparison]:
    """Every comparison, primary ones with their verdict. Only arms whose result is 'measured'
    and only tasks whose baseline was measured take part."""
    noise = floors(tasks, metrics, rules.min_floor)
    agents = list(agents)
    rows: list[Comparison] = []
    for commit, found in metrics.items():
        task = tasks[commit]
        measured = {result.arm for result in found.arms if result.status == "measured"}
        if BASELINE not in measured:
            continue
        for arm in (HUMAN, *agents):
            if arm in measured:
                rows += _rows(task, found, arm, noise, rules)
        for agent in agents:
            if {agent, HUMAN} <= measured:
                rows += _against_human(task, found, agent, noise, rules)
    return _with_verdicts(rows, rules)


def _row(
    task: Task,
    found: Metrics,
    arm: str,
    reference: str,
    metric: str,
    role: str,
    floor: float,
    confidence: float,
) -> list[Comparison]:
    both = pairs(found.runs, arm, reference, metric)
    result = both.compare(metric, confidence)
    if result is None:
        return []
    return [
        Comparison(
            commit=task.commit,
            arm=arm,
            reference=reference,
            metric=metric,
            role=role,
            pairs=result.pairs,
            value=_middle(both.arm),
            reference_value=_middle(both.reference),
            ratio=result.ratio,
            low=result.low,
            high=result.high,
            p=result.p,
            p_adjusted=result.p,
            floor=floor,
            verdict="",
            blocks_needed=blocks_needed(result, floor, confidence),
        )
    ]


def _rows(
    task: Task,
    found: Metrics,
    arm: str,
    noise: Mapping[tuple[str, str], float],
    rules: Statistics,
) -> list[Comparison]:
    guards = [name for name in task.guard_metrics if name != task.primary_metric]
    named = [(task.primary_metric, "primary"), *((name, "guard") for name in guards)]
    out: list[Comparison] = []
    for metric, role in named:
        floor = noise.get((task.subject.name, metric), rules.min_floor)
        out += _row(task, found, arm, BASELINE, metric, role, floor, rules.confidence)
    return out


def _against_human(
    task: Task,
    found: Metrics,
    agent: str,
    noise: Mapping[tuple[str, str], float],
    rules: Statistics,
) -> list[Comparison]:
    metric = task.primary_metric
    floor = noise.get((task.subject.name, metric), rules.min_floor)
    return _row(task, found, agent, HUMAN, metric, "human", floor, rules.confidence)


def _middle(values: list[float]) -> float:
    ordered = sorted(values)
    half = len(ordered) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2


def _paired(row: Comparison) -> Paired:
    return Paired(row.ratio, row.low, row.high, row.p, row.pairs)


def _with_verdicts(rows: list[Comparison], rules: Statistics) -> list[Comparison]:
    """Adjust all p-values together, then decide each primary comparison."""
    for role in ("primary", "guard", "human"):
        places = [i for i, row in enumerate(rows) if row.role == role]
        adjusted = benjamini_hochberg([rows[i].p for i in places])
        for i, p in zip(places, adjusted, strict=True):
            rows[i] = msgspec.structs.replace(rows[i], p_adjusted=p)
    humans = {r.commit: _paired(r) for r in rows if r.role == "primary" and r.arm == HUMAN}
    lost = {
        (row.commit, row.arm)
        for row in rows
        if row.role == "guard" and row.pairs >= rules.min_blocks and row.high < 1 / (1 + row.floor)
    }
    better = {
        (row.commit, row.arm): verdicts.at_least_human(_paired(row), row.floor)
        for row in rows
        if row.role == "human" and row.pairs >= rules.min_blocks
    }
    out = []
    for row in rows:
        found = _paired(row)
        if row.role == "guard":
            out.append(row)
            continue
        agents_gain = row.role == "primary" and row.arm != HUMAN
        human = humans.get(row.commit) if agents_gain else None
        verdict = verdicts.decide(
            found,
            p_adjusted=row.p_adjusted,
            floor=row.floor,
            min_blocks=rules.min_blocks,
            implausible=verdicts.is_implausible(
                found, human, most=rules.implausible, times_human=rules.review_human_gain
            ),
            guard_lost=row.role == "primary" and (row.commit, row.arm) in lost,
        )
        if row.role == "human":
            out.append(msgspec.structs.replace(row, verdict=verdict))
            continue
        at_least = verdict == "faster" and better.get((row.commit, row.arm), False)
        out.append(msgspec.structs.replace(row, verdict=verdict, at_least_human=at_least))
    return out
