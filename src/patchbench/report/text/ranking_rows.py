"""Which agent is better, and how sure are we: one paragraph, made from the duels by rules.

Better means: made more commits faster, of those on which both agents were judged. That measure is
named here and not chosen after the fact; how large the gains are stands beside it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from patchbench.verdicts.rule import SIGNIFICANT
from patchbench.verdicts.scores import Duel, Score


def paragraph(
    scores: Sequence[Score], duels: Sequence[Duel], titles: Mapping[str, str] | None = None
) -> str:
    """The answer in words. ``titles`` are how the report names the agents."""
    name = {score.agent: (titles or {}).get(score.agent) or score.agent for score in scores}
    if len(scores) < 2:
        return "There is only one agent, so there is nothing to rank." if scores else ""
    if not any(score.faster.part for score in scores):
        return "No agent made any commit faster beyond noise, so there is nothing to rank."
    best = _best(scores, duels)
    fought = [seen_from(best, duel) for duel in duels if best in (duel.first, duel.second)]
    beaten = [duel for duel in fought if duel.faster.p_adjusted < SIGNIFICANT]
    said = [_headline(name, best, fought, beaten)]
    said += [_faster(name, duel, len(duels)) for duel in fought]
    said += [words for duel in fought if (words := _size(name, duel))]
    if len(duels) > 1:
        said.append(f"All p are exact and adjusted for {len(duels)} pairs of agents (Holm).")
    return " ".join(said)


def seen_from(agent: str, duel: Duel) -> Duel:
    """A duel with this agent named first."""
    if duel.first == agent:
        return duel
    size = duel.size
    turned = size._replace(
        ratio=None if size.ratio is None else 1 / size.ratio,
        low=None if size.high is None else 1 / size.high,
        high=None if size.low is None else 1 / size.low,
    )
    return duel._replace(
        first=duel.second,
        second=duel.first,
        success=duel.success._replace(first=duel.success.second, second=duel.success.first),
        faster=duel.faster._replace(first=duel.faster.second, second=duel.faster.first),
        size=turned,
    )


def is_better(duel: Duel) -> bool:
    """Whether the first agent made more commits faster than the second, beyond chance."""
    return duel.faster.p_adjusted < SIGNIFICANT and duel.faster.first > duel.faster.second


def enough_to_tell(pairs: int) -> int:
    """The fewest commits, all on one side, with which an exact McNemar test can tell two agents
    apart when there are so many pairs of agents: 2 / 2^n < 5 % / pairs."""
    count = 1
    while 2 * 0.5**count >= SIGNIFICANT / pairs:
        count += 1
    return count


def _best(scores: Sequence[Score], duels: Sequence[Duel]) -> str:
    """The agent that wins most duels; among equals the one with the highest rate, then ratio."""

    def merit(score: Score) -> tuple[int, float, float]:
        agent = score.agent
        mine = [seen_from(agent, duel) for duel in duels if agent in (duel.first, duel.second)]
        wins = sum(map(is_better, mine)) - sum(
            is_better(seen_from(duel.second, duel)) for duel in mine
        )
        return wins, score.faster.share or 0.0, score.all_planned.ratio or 0.0

    return max(scores, key=merit).agent


def _headline(
    name: Mapping[str, str], best: str, fought: Sequence[Duel], beaten: Sequence[Duel]
) -> str:
    won = [name[duel.second] for duel in beaten if is_better(duel)]
    open_ = [name[duel.second] for duel in fought if duel not in beaten]
    if not won:
        return "These data do not say which agent is better."
    if open_:
        return (
            f"{name[best]} is better than {_list(won)}; whether it is better than {_list(open_)} "
            "these data do not say."
        )
    return f"{name[best]} is better than {_list(won)} at making commits faster."


def _faster(name: Mapping[str, str], duel: Duel, pairs: int) -> str:
    """What tells two agents apart, and what chance would make of it."""
    one, other = name[duel.first], name[duel.second]
    if not duel.commits:
        return f"{one} and {other} were judged on no commit in common."
    only = duel.faster
    on = f"the {duel.commits} commits" if duel.commits > 1 else "the one commit"
    text = (
        f"Of {on} on which both were judged, {one} alone made {only.first} faster and "
        f"{other} alone {only.second}"
    )
    if only.first + only.second == 0:
        return f"{text}: nothing tells them apart."
    fewest = enough_to_tell(pairs)
    if only.first + only.second < fewest:
        return (
            f"{text}: too few to tell (at least {fewest} would be needed, even if all spoke for "
            f"one agent; p = {_p(only.p_adjusted)})."
        )
    return (
        f"{text}; were they equally good, chance would split them so unevenly in "
        f"{_percent(only.p_adjusted)} of such comparisons (p = {_p(only.p_adjusted)})."
    )


def _size(name: Mapping[str, str], duel: Duel) -> str:
    """How the sizes of their gains compare, where both were measured."""
    size = duel.size
    if size.ratio is None or size.low is None or size.high is None:
        return ""
    rough = ", a rough interval from so few" if size.rough else ""
    known = "" if duel.size_p_adjusted < SIGNIFICANT else ", which is within chance"
    return (
        f"On the {size.commits} commits that both were measured on, {name[duel.first]}'s patches "
        f"are {size.ratio:.2f}x as fast as {name[duel.second]}'s "
        f"[{size.low:.2f}, {size.high:.2f}{rough}] (p = {_p(duel.size_p_adjusted)}{known})."
    )


def _p(value: float) -> str:
    """A p-value with two digits that mean something."""
    return "below 0.001" if value < 0.001 else f"{value:.2g}" if value < 0.1 else f"{value:.2f}"


def _percent(share: float) -> str:
    """Two digits that mean something, 2.1 % or 79 %."""
    return f"{100 * share:.2g} %" if share < 0.1 else f"{100 * share:.0f} %"


def _list(words: Sequence[str]) -> str:
    """'A', 'A and B', 'A, B and C'."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
