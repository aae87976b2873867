"""Compare the scores of an arm's answers under load with those of the baseline's own.

Three figures per answer: the mean gap of all tokens, of the first token, and of the last eighth.
Four rules, the first three with a false alarm rate of ``ALPHA`` each if the arm's answers are drawn
like the baseline's (so 0.15 % in all; the margins make it smaller, as docs/judge.md measures):

- *mean*, *first*, *end*: the figures lie above the baseline's by a one-sided Mann-Whitney test, and
  their trimmed mean is above ``FACTOR`` times the baseline's plus a margin: honest changes of
  batching move it by up to a third. The margin is the baseline's mean gap, its own numerical noise
  (a server scores by prefill what it gave by decoding), and ``FLOOR``: in float32 that noise is 0,
  and bfloat16 shows.
- *tail*: so many answers lie beyond all of the baseline's that chance would do it once in
  1 / ``ALPHA``; *gross*: two answers beyond ten times the baseline's worst and one nat.

The baseline is two launches or more. Those that differ among themselves by these rules are no
measure: the largest group that agrees is, if it holds two; else the check can't be used. So one bad
launch of the baseline never excuses an arm.

Some weights amplify rounding so much that any other kernel looks wrong (docs/judge.md: 8 times the
baseline's gap). A control is a launch of the baseline with other kernels, such as another attention
backend: if the rules flag it, the check can't be used for this model.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import combinations
from statistics import NormalDist, fmean, median

from patchbench.judge.scores import Score, Scores
from patchbench.records import AnswerCheck

ALPHA = 0.0005
FACTOR = 3.0
FLOOR = 0.0001  # nats
GROSS_FACTOR, GROSS_GAP, GROSS_COUNT = 10.0, 1.0, 2
TRIM = 0.1
MIN_ANSWERS = 20  # of the arm and of each launch of the baseline
MAX_BASELINE_GAP = 1.0  # nats: the median of a greedy baseline's own answers
SAME_TOKEN_SHARE = 0.5
SHORT = 4  # tokens: shorter answers may well repeat one token


def mean_gap(score: Score) -> float:
    """Return the mean gap of an answer's tokens."""
    return fmean(score.gaps)


def first_gap(score: Score) -> float:
    """Return the gap of an answer's first token."""
    return score.gaps[0]


def end_gap(score: Score) -> float:
    """Return the mean gap of the last eighth of an answer's tokens, at least one."""
    return fmean(score.gaps[-max(1, len(score.gaps) // 8) :])


FIGURES: dict[str, Callable[[Score], float]] = {
    "mean": mean_gap,
    "first": first_gap,
    "end": end_gap,
}


def check_answers(
    arm: Scores,
    launches: Sequence[Scores],
    greedy: bool = False,
    controls: Sequence[Scores] = (),
) -> AnswerCheck:
    """Compare an arm's scores with those of launches of the baseline. ``greedy`` says that the
    load is (nearly) greedy: then the baseline's own answers must be near its first choices.
    ``controls`` are launches of the baseline with other kernels, which must not be flagged."""
    usable = [s for s in launches if len(_with_gaps(s)) >= MIN_ANSWERS]
    if reason := _why_not(arm, launches, usable, controls, greedy):
        return AnswerCheck(
            status="not_usable", reason=reason, answers=len(_with_gaps(arm)), launches=len(usable)
        )
    group = agreeing(usable)
    if len(group) < 2:
        return AnswerCheck(
            status="not_usable",
            reason=f"no two of the baseline's {len(usable)} launches agree",
            answers=len(_with_gaps(arm)),
            launches=len(usable),
        )
    baseline = [score for launch in group for score in _with_gaps(launch)]
    own = _with_gaps(arm)
    if rule := next(filter(None, (flag(_with_gaps(c), baseline) for c in controls)), ""):
        return AnswerCheck(
            status="not_usable",
            reason=f"the baseline with other kernels is flagged too, by the rule {rule}",
            answers=len(own),
            launches=len(group),
        )
    rule = flag(own, baseline)
    worst = max(own, key=mean_gap)
    return AnswerCheck(
        status="wrong_output" if rule else "like_baseline",
        rule=rule,
        worst=worst.index,
        worst_gap=mean_gap(worst),
        mean_gap=trimmed_mean([mean_gap(s) for s in own]),
        baseline_gap=trimmed_mean([mean_gap(s) for s in baseline]),
        answers=len(own),
        launches=len(group),
    )


def _with_gaps(scores: Scores) -> list[Score]:
    return [s for s in scores.scores if s.gaps]


def _why_not(
    arm: Scores,
    launches: Sequence[Scores],
    usable: Sequence[Scores],
    controls: Sequence[Scores],
    greedy: bool,
) -> str:
    """Return why the check can't be used; empty if it can."""
    if any(s.form == "none" for s in (arm, *launches)):
        return "the engine scores no tokens"
    if any(len(_with_gaps(s)) < MIN_ANSWERS for s in controls):
        return f"a control has fewer than {MIN_ANSWERS} scored answers"
    if len(usable) < 2:
        return f"{len(usable)} launches of the baseline have {MIN_ANSWERS} scored answers, not two"
    if len(_with_gaps(arm)) < MIN_ANSWERS:
        return f"{len(_with_gaps(arm))} answers of the arm could be scored, not {MIN_ANSWERS}"
    baseline = [s for launch in usable for s in _with_gaps(launch)]
    same = sum(s.distinct == 1 for s in baseline if len(s.gaps) >= SHORT) / len(baseline)
    if same > SAME_TOKEN_SHARE:
        return f"{same:.0%} of the baseline's answers repeat one token: the weights say nothing"
    middle = median(mean_gap(s) for s in baseline)
    if greedy and middle > MAX_BASELINE_GAP:
        return f"the baseline's own answers lie {middle:.2f} nats off its first choices"
    return ""


def agreeing(launches: Sequence[Scores]) -> list[Scores]:
    """Return the largest group of launches of which none is flagged against another; the earlier
    one of equally large groups."""
    agree = {
        (a, b)
        for a, b in combinations(range(len(launches)), 2)
        if not flag(_with_gaps(launches[a]), _with_gaps(launches[b]))
        and not flag(_with_gaps(launches[b]), _with_gaps(launches[a]))
    }
    for size in range(len(launches), 1, -1):
        for group in combinations(range(len(launches)), size):
            if all(pair in agree for pair in combinations(group, 2)):
                return [launches[i] for i in group]
    return []


def flag(own: Sequence[Score], baseline: Sequence[Score]) -> str:
    """Return the first rule by which answers lie beyond the baseline's; empty if none does."""
    margin = trimmed_mean([mean_gap(s) for s in baseline]) + FLOOR
    for name, figure in FIGURES.items():
        mine, theirs = [figure(s) for s in own], [figure(s) for s in baseline]
        bar = FACTOR * trimmed_mean(theirs) + margin
        if trimmed_mean(mine) > bar and mann_whitney(mine, theirs) < ALPHA:
            return name
    mine, theirs = [mean_gap(s) for s in own], [mean_gap(s) for s in baseline]
    if sum(v > max(theirs) + margin for v in mine) >= tail_count(len(mine), len(theirs)):
        return "tail"
    gross = max(GROSS_FACTOR * max(theirs), GROSS_GAP)
    if sum(v > gross for v in mine) >= GROSS_COUNT:
        return "gross"
    return ""


def trimmed_mean(values: Sequence[float], share: float = TRIM) -> float:
    """Return the mean without the given share of the values at each end."""
    ordered = sorted(values)
    cut = int(len(ordered) * share)
    return fmean(ordered[cut : len(ordered) - cut])


def mann_whitney(high: Sequence[float], low: Sequence[float]) -> float:
    """Return the one-sided p value that ``high`` lies above ``low``: normal approximation with
    correction for ties and continuity (Hollander and Wolfe, 4.1); good from 20 values each."""
    n, m = len(high), len(low)
    ordered = sorted([(v, 1) for v in high] + [(v, 0) for v in low])
    rank_sum, ties, start = 0.0, 0, 0
    while start < len(ordered):
        end = start
        while end < len(ordered) and ordered[end][0] == ordered[start][0]:
            end += 1
        rank = (start + 1 + end) / 2
        rank_sum += rank * sum(mark for _, mark in ordered[start:end])
        ties += (end - start) ** 3 - (end - start)
        start = end
    total = n + m
    variance = n * m / 12 * (total + 1 - ties / (total * (total - 1)))
    if variance <= 0:
        return 1.0
    excess = rank_sum - n * (n + 1) / 2 - n * m / 2 - 0.5
    return 1 - NormalDist().cdf(excess / math.sqrt(variance))


def tail_count(n: int, m: int) -> int:
    """Return the smallest k for which chance puts the k largest of n + m equal draws all among
    the n at most once in 1 / ALPHA; n + 1 if there is none."""
    chance = 1.0
    for k in range(1, n + 1):
        chance *= (n - k + 1) / (n + m - k + 1)
        if chance <= ALPHA:
            return k
    return n + 1
