"""Compare two campaigns: find the changes, and tell real ones from noise.

Ratios of arm to baseline are compared, never absolute values: those belong to their machine. A
ratio changed if the difference of its logarithms is beyond the spread of both campaigns' blocks
(Welch's t test, 1947, p-values adjusted over the whole comparison) and beyond the margin.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import msgspec
import pandas as pd

from patchbench.report.model import CampaignChanges, Cell, Change, RateChange, Report, SpeedupRow
from patchbench.verdicts.rule import SIGNIFICANT
from patchbench.verdicts.scores import counts_for_rate, share, split
from patchbench.verdicts.statistics import benjamini_hochberg, holm, mcnemar

Key = tuple[str, str]
CHANGED, NOISE, SAME = "changed", "noise", "the same"
OTHER_WORKLOAD, OTHER_PATCH = "not comparable: other workload", "other patch"
BLAMELESS = ("task", "infra", "harness")


class Both(NamedTuple):
    """One arm of one task in the other campaign and in this one."""

    row_before: SpeedupRow
    before: Cell
    row_now: SpeedupRow
    now: Cell


class Welch(NamedTuple):
    """The factor by which a ratio grew, with its 95 % interval and its p."""

    factor: float
    low: float
    high: float
    p: float


def compare_campaigns(here: Report, there: Report) -> CampaignChanges:
    """Return the differences of ``here`` from the earlier campaign ``there``."""
    cells_here, cells_there = _cells(here), _cells(there)
    both = {
        key: Both(*cells_there[key], *cells_here[key])
        for key in cells_here
        if key in cells_there
        and "pending" not in (cells_here[key][1].status, cells_there[key][1].status)
    }
    tests = {key: test for key, pair in both.items() if (test := _tested(pair))}
    adjusted = dict(
        zip(tests, benjamini_hochberg([test.p for test in tests.values()]), strict=True)
    )
    tests = {key: test._replace(p=adjusted[key]) for key, test in tests.items()}
    changes = [_change(key, pair, tests.get(key)) for key, pair in both.items()]
    tasks = {key[0] for key in cells_here}, {key[0] for key in cells_there}
    return CampaignChanges(
        name=there.about.name,
        results=there.about.results,
        tasks_only_here=len(tasks[0] - tasks[1]),
        tasks_only_there=len(tasks[1] - tasks[0]),
        common=len(both),
        agents_only_here=_only(here, there),
        agents_only_there=_only(there, here),
        settings=tuple(_settings(here, there)),
        equal=sum(_kind(pair.before) == _kind(pair.now) for pair in both.values()),
        compared=len(tests),
        rates=tuple(_rates(here, both)),
        changes=tuple(change for change in changes if change is not None),
    )


def _cells(report: Report) -> dict[Key, tuple[SpeedupRow, Cell]]:
    return {(row.commit, cell.arm): (row, cell) for row in report.speedups for cell in row.cells}


def _only(one: Report, other: Report) -> tuple[str, ...]:
    return tuple(one.about.title(arm) for arm in one.about.agents if arm not in other.about.agents)


def _settings(here: Report, there: Report) -> Iterator[str]:
    """List the differences between the campaigns' settings, patches apart."""
    a, b = here.machine, there.machine
    pairs = {
        "hosts": (a.hosts, b.hosts),
        "runtime": (a.runtimes, b.runtimes),
        "versions": (a.versions, b.versions),
    }
    for name, (now, before) in pairs.items():
        if now != before and now and before:
            yield (
                f"Other {name}: {'; '.join(before)} then, {'; '.join(now)} now. Ratios are still "
                "compared, each with its own baseline."
            )
    if here.about.rules and there.about.rules and here.about.rules != there.about.rules:
        yield "Other rules of measuring or deciding: verdicts may differ where numbers do not."


def _tested(pair: Both) -> Welch | None:
    """Return the test of two ratios; None if they can't be compared."""
    if _incomparable(pair):
        return None
    return welch(pair.before, pair.now)


def _incomparable(pair: Both) -> str:
    """Return the reason why two cells can't be compared; empty if they can."""
    loads = pair.row_before.workload_id, pair.row_now.workload_id
    if all(loads) and loads[0] != loads[1]:
        return OTHER_WORKLOAD
    if pair.row_before.metric != pair.row_now.metric:
        return OTHER_WORKLOAD
    shas = pair.before.patch_sha256, pair.now.patch_sha256
    return OTHER_PATCH if all(shas) and shas[0] != shas[1] else ""


def welch(before: Cell, now: Cell) -> Welch | None:
    """Return Welch's t test of two log ratios, from their intervals; None without both
    intervals."""
    from scipy import stats

    first, second = _spread(before), _spread(now)
    if first is None or second is None:
        return None
    assert before.ratio is not None and now.ratio is not None
    difference = math.log(now.ratio / before.ratio)
    variances = first**2, second**2
    total = sum(variances)
    if total == 0:
        factor = math.exp(difference)
        return Welch(factor, factor, factor, 1.0 if difference == 0 else 0.0)
    freedom = total**2 / sum(
        variance**2 / (cell.pairs - 1)
        for variance, cell in zip(variances, (before, now), strict=True)
    )
    half = float(stats.t.ppf(0.975, freedom)) * math.sqrt(total)
    p = 2 * float(stats.t.sf(abs(difference) / math.sqrt(total), freedom))
    return Welch(math.exp(difference), math.exp(difference - half), math.exp(difference + half), p)


def _spread(cell: Cell) -> float | None:
    """Return the standard error of a log ratio, computed back from its interval."""
    from scipy import stats

    if cell.ratio is None or cell.low is None or cell.high is None or cell.pairs < 2:
        return None
    if not (cell.low > 0 and math.isfinite(cell.high)):
        return None
    quantile = float(stats.t.ppf((1 + cell.level) / 2, cell.pairs - 1))
    return (math.log(cell.high) - math.log(cell.low)) / 2 / quantile


def _kind(cell: Cell) -> Key:
    return (cell.cause or cell.status, cell.verdict)


def _change(key: Key, pair: Both, test: Welch | None) -> Change | None:
    """Return the row of a change; None if nothing changed."""
    verdict = _conclusion(pair, test)
    if _kind(pair.before) == _kind(pair.now) and verdict != CHANGED:
        return None
    return Change(
        commit=key[0],
        arm=key[1],
        before=_outcome(pair.before),
        now=_outcome(pair.now),
        factor=test.factor if test else None,
        low=test.low if test else None,
        high=test.high if test else None,
        p_adjusted=test.p if test else None,
        conclusion=verdict,
    )


def _conclusion(pair: Both, test: Welch | None) -> str:
    """Return a word or two that say if a difference is real."""
    if why := _incomparable(pair):
        return why
    if test is not None:
        margin = max(pair.row_before.margin or 0.0, pair.row_now.margin or 0.0)
        beyond = abs(math.log(test.factor)) > math.log1p(margin)
        return CHANGED if test.p < SIGNIFICANT and beyond else NOISE
    for cell in (pair.before, pair.now):
        if cell.status == "failed" and cell.blame in BLAMELESS:
            return f"not the patch's: {cell.blame}"
    return NOISE if _kind(pair.before) == _kind(pair.now) else CHANGED


def _outcome(cell: Cell) -> str:
    if cell.ratio is not None:
        return f"{cell.verdict} {cell.ratio:.2f}x"
    return cell.cause or cell.status


def _rates(here: Report, both: dict[Key, Both]) -> Iterator[RateChange]:
    """Return each agent's rates on the outcomes that count for the rates of both campaigns."""
    if not both:
        return
    before, now = (
        pd.DataFrame([msgspec.structs.asdict(getattr(pair, when)) for pair in both.values()])
        for when in ("before", "now")
    )
    counted = counts_for_rate(before) & counts_for_rate(now)
    questions = {"success": ("status", "measured"), "faster": ("verdict", "faster")}
    rows = []
    for arm in here.about.agents:
        of_arm = counted & (now["arm"] == arm)
        for rate, (column, value) in questions.items():
            if of_arm.any() and (rate == "success" or here.about.compared):
                yes = now.loc[of_arm, column] == value, before.loc[of_arm, column] == value
                rows.append(_rate(here, arm, rate, *yes))
    adjusted = holm([row.p for row in rows])
    for row, p in zip(rows, adjusted, strict=True):
        words = SAME if row.won + row.lost == 0 else CHANGED if p < SIGNIFICANT else NOISE
        yield msgspec.structs.replace(row, p=p, conclusion=words)


def _rate(
    here: Report, arm: str, rate: str, now: pd.Series[bool], before: pd.Series[bool]
) -> RateChange:
    won, lost = split(now, before)
    return RateChange(
        arm=arm,
        title=here.about.title(arm),
        rate=rate,
        before=share(int(before.sum()), len(before)),
        now=share(int(now.sum()), len(now)),
        won=won,
        lost=lost,
        p=mcnemar(won, lost),
        conclusion="",
    )
