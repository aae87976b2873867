"""Say which agent is better, and how sure that is: one paragraph, made from the pairs by rules.

The better agent made more commits faster, of those that count for the rates of both. This measure
is fixed here and not chosen after the fact; the size of the gains is told too. If nothing was
compared, the order is by success rates.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from patchbench.report.model import AgentRow, Report
from patchbench.report.text.phrases import interval, listed, percent
from patchbench.verdicts.rule import SIGNIFICANT
from patchbench.verdicts.scores import Pair


def paragraph(report: Report) -> str:
    """Return the paragraph; empty without any agent."""
    if report.about.compared:
        return by_speedups(report.agents, report.pairs)
    return by_success(report.agents, report.pairs)


def by_success(rows: Sequence[AgentRow], pairs: Sequence[Pair]) -> str:
    """Return the order by success rates. Only neighbours are compared: they differ if their
    intervals don't overlap, or if chance hardly makes such a split of their common commits."""
    order = sorted(
        (row for row in rows if row.success.whole),
        key=lambda row: (-(row.success.share or 0.0), row.title),
    )
    if len(order) < 2:
        return ""
    best, second = order[0], order[1]
    names = {best.arm, second.arm}
    pair = next((pair for pair in pairs if {pair.first, pair.second} == names), None)
    if best.success.low > second.success.high or (pair and pair.p < SIGNIFICANT):
        return (
            f"{best.title} gave metrics more often than {second.title} "
            f"({percent(best.success.share)} against {percent(second.success.share)}); that is "
            "beyond chance. Metrics say that a patch runs, not that it is faster."
        )
    rates = ", ".join(f"{row.title} {interval(row.success)}" for row in order)
    if max(row.success.low for row in order) > min(row.success.high for row in order):
        return (
            f"The data do not say which agent gives metrics most often: the 95 % intervals of "
            f"{best.title} and {second.title} overlap ({rates})."
        )
    paired = ""
    if pair and pair.only_first + pair.only_second:
        paired = (
            f" Of the {pair.commits} commits on which the first two can be compared, "
            f"{pair.only_first} went to one alone and {pair.only_second} to the other "
            f"(exact p = {pair.p:.2f})."
        )
    return (
        f"The data do not support a ranking of the {len(order)} agents: the 95 % intervals of all "
        f"their success rates overlap ({rates}).{paired}"
    )


def by_speedups(rows: Sequence[AgentRow], pairs: Sequence[Pair]) -> str:
    """Return the sentences on the agent that made more commits faster, with the evidence."""
    if len(rows) < 2:
        return "There is only one agent, so there is nothing to rank." if rows else ""
    if not any(row.faster.part for row in rows):
        return "No agent made any commit faster beyond noise, so there is nothing to rank."
    name = {row.arm: row.title for row in rows}
    best = _best(rows, pairs)
    own_pairs = [seen_from(best, pair) for pair in pairs if best in (pair.first, pair.second)]
    sentences = [_headline(name, best, own_pairs)]
    sentences += [_faster(name, pair, len(pairs)) for pair in own_pairs]
    sentences += [_size(name, pair) for pair in own_pairs]
    if len(pairs) > 1:
        sentences.append(f"All p are exact and adjusted for {len(pairs)} pairs of agents (Holm).")
    return " ".join(filter(None, sentences))


def seen_from(agent: str, pair: Pair) -> Pair:
    """Return the pair with this agent named first."""
    if pair.first == agent:
        return pair
    ratio, low, high = (
        None if value is None else 1 / value
        for value in (pair.size.ratio, pair.size.high, pair.size.low)
    )
    return msgspec.structs.replace(
        pair,
        first=pair.second,
        second=pair.first,
        only_first=pair.only_second,
        only_second=pair.only_first,
        faster_first=pair.faster_second,
        faster_second=pair.faster_first,
        size=msgspec.structs.replace(pair.size, ratio=ratio, low=low, high=high),
    )


def is_better(pair: Pair) -> bool:
    """Return True if the first agent made more commits faster than the second, beyond chance."""
    return pair.faster_p < SIGNIFICANT and pair.faster_first > pair.faster_second


def enough_to_tell(pairs: int) -> int:
    """Return the fewest commits, all for one agent, with which an exact McNemar test can tell two
    agents apart where so many pairs are tested: 2 / 2^n < 5 % / pairs."""
    count = 1
    while 2 * 0.5**count >= SIGNIFICANT / pairs:
        count += 1
    return count


def _best(rows: Sequence[AgentRow], pairs: Sequence[Pair]) -> str:
    """Return the agent that wins most pairs; among equals the one with the highest rate, then
    ratio."""

    def merit(row: AgentRow) -> tuple[int, float, float]:
        own_pairs = [
            seen_from(row.arm, pair) for pair in pairs if row.arm in (pair.first, pair.second)
        ]
        wins = sum(is_better(pair) - is_better(seen_from(pair.second, pair)) for pair in own_pairs)
        return wins, row.faster.share or 0.0, row.all_planned.ratio or 0.0

    return max(rows, key=merit).arm


def _headline(name: Mapping[str, str], best: str, own_pairs: Sequence[Pair]) -> str:
    won = [name[pair.second] for pair in own_pairs if is_better(pair)]
    undecided = [name[pair.second] for pair in own_pairs if pair.faster_p >= SIGNIFICANT]
    if not won:
        return "These data do not say which agent is better."
    if undecided:
        return (
            f"{name[best]} is better than {listed(won)}; whether it is better than "
            f"{listed(undecided)} these data do not say."
        )
    return f"{name[best]} is better than {listed(won)} at making commits faster."


def _faster(name: Mapping[str, str], pair: Pair, pairs: int) -> str:
    one, other = name[pair.first], name[pair.second]
    if not pair.commits:
        return f"{one} and {other} have no commit in common that counts for both."
    on = (
        f"the {pair.commits} commits that count"
        if pair.commits > 1
        else "the one commit that counts"
    )
    text = (
        f"Of {on} for both, {one} alone made {pair.faster_first} faster and "
        f"{other} alone {pair.faster_second}"
    )
    if pair.faster_first + pair.faster_second == 0:
        return f"{text}: nothing tells them apart."
    fewest = enough_to_tell(pairs)
    if pair.faster_first + pair.faster_second < fewest:
        return (
            f"{text}: too few to tell (at least {fewest} would be needed, even if all spoke for "
            f"one agent; p = {_p(pair.faster_p)})."
        )
    return (
        f"{text}; if they were equally good, chance would split them so unevenly in "
        f"{_percent(pair.faster_p)} of such comparisons (p = {_p(pair.faster_p)})."
    )


def _size(name: Mapping[str, str], pair: Pair) -> str:
    size = pair.size
    if size.ratio is None or size.low is None or size.high is None:
        return ""
    rough = ", a rough interval from so few" if size.rough else ""
    known = "" if pair.size_p < SIGNIFICANT else ", which is within chance"
    return (
        f"On the {size.commits} commits that both were measured on, {name[pair.first]}'s patches "
        f"are {size.ratio:.2f}x as fast as {name[pair.second]}'s "
        f"[{size.low:.2f}, {size.high:.2f}{rough}] (p = {_p(pair.size_p)}{known})."
    )


def _p(value: float) -> str:
    return "below 0.001" if value < 0.001 else f"{value:.2g}" if value < 0.1 else f"{value:.2f}"


def _percent(share: float) -> str:
    return f"{100 * share:.2g} %" if share < 0.1 else f"{100 * share:.0f} %"
