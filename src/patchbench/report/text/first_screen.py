"""The report's first screen in words: the verdict in one sentence, and four tiles."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from patchbench.failures.causes import BLAMES
from patchbench.report.counts.noise import MARGIN
from patchbench.report.model import AgentRow, Report
from patchbench.report.text.phrases import listed, plural
from patchbench.verdicts.scores import Share

# More agents than this don't fit into a tile's note.
NAMED = 4


class Tile(NamedTuple):
    """One figure with its title and note. ``poor`` is True if it limits what can be concluded;
    ``href`` is the section that explains it."""

    title: str
    value: str
    note: str
    href: str
    poor: bool = False


def headline(report: Report) -> str:
    """Return the verdict in one sentence: which agent is better, and how many gains were found."""
    text = _compared(report) if report.about.compared else _imported(report)
    pending, all_ = report.counts.pending, plural(report.counts.outcomes, "outcome")
    if not pending or not report.about.compared:
        return text
    return f"Not finished, {pending:,} of {all_} pending. {text}"


def _compared(report: Report) -> str:
    faster, whole = _sum(row.faster for row in report.agents)
    rules = report.about.rules
    if rules and max(rules.blocks, rules.max_blocks) < rules.min_blocks:
        return (
            f"No verdict is possible: a task has {plural(rules.blocks, 'block')}, and a verdict "
            f"needs {rules.min_blocks}."
        )
    if not whole:
        return "No patch can be judged." if not report.counts.pending else "Nothing is decided yet."
    patches = plural(whole, "patch", "patches")
    if not faster:
        return f"No agent made the engine faster: none of {patches} is a gain beyond noise."
    gains = f"{faster:,} of {patches} made the engine faster"
    if len(report.agents) == 1:
        return f"{report.agents[0].title}: {gains}."
    return f"{_first_clause(report.words.ranking)}; {gains}."


def _imported(report: Report) -> str:
    ran, whole = _sum(row.success for row in report.agents)
    patches = plural(whole, "patch", "patches")
    clause = _first_clause(report.words.ranking)
    return (
        f"{clause}{'; ' if clause else ''}{ran:,} of {patches} ran to valid metrics, and nothing "
        "here says if one is faster."
    )


def _first_clause(text: str) -> str:
    return re.split(r"[.:](?: |$)", text, maxsplit=1)[0]


def _sum(shares: Iterable[Share]) -> tuple[int, int]:
    known = list(shares)
    return sum(share.part for share in known), sum(share.whole for share in known)


def tiles(report: Report) -> tuple[Tile, ...]:
    """Return the four tiles; three without the human's commit."""
    if report.about.compared:
        human = (_human(report),) if report.human else ()
        return (_faster(report), _failed(report), _noise(report), *human)
    ran, whole = _sum(row.success for row in report.agents)
    named = _named(report, [(row, row.success) for row in report.agents])
    missing = [(row.title, row.missing) for row in report.agents if row.missing]
    return (
        Tile("Ran to valid metrics", f"{ran:,}/{whole:,}", named, "#better"),
        _failed(report),
        Tile("Noise", "unknown", "single launches: nothing was repeated", "#trust", poor=True),
        Tile(
            "Without a patch",
            f"{sum(n for _, n in missing):,}",
            listed([f"{name} {n:,}" for name, n in missing], NAMED) or "every task has one",
            "#failed",
        ),
    )


def _faster(report: Report) -> Tile:
    part, whole = _sum(row.faster for row in report.agents)
    named = _named(report, [(row, row.faster) for row in report.agents])
    return Tile("Patches faster", f"{part:,}/{whole:,}", named, "#better")


def _named(report: Report, shares: list[tuple[AgentRow, Share]]) -> str:
    if len(shares) > NAMED:
        shares = sorted(shares, key=lambda pair: -(pair[1].share or 0.0))
    words = [f"{row.title} {share.part}/{share.whole}" for row, share in shares[:NAMED]]
    return ", ".join([*words, *(["…"] if len(shares) > NAMED else [])])


def _failed(report: Report) -> Tile:
    blames = Counter[str]()
    for row in report.failures:
        blames.update(row.blames)
    charged = [f"{blames[name]:,} {name}" for name in BLAMES if blames[name]]
    missing = sum(row.missing for row in report.agents)
    notes = [f"charged to: {', '.join(charged)}"] if charged else ["none"]
    if missing and report.about.compared:
        notes.append(f"{missing:,} without a patch (no failure)")
    value = f"{sum(blames.values()):,}/{sum(row.delivered for row in report.agents):,}"
    return Tile("Patches failed", value, "; ".join(notes), "#failed")


def _noise(report: Report) -> Tile:
    title, wanted = "Noise", f"at most {100 * MARGIN:.0f} % is wanted"
    changes = [math.expm1(abs(math.log(pair.ratio))) for pair in report.aa if pair.ratio > 0]
    if report.noise:
        limit = f"{100 * report.noise.limit:.0f} %"
        return Tile(title, limit, f"smaller changes could not be seen; {wanted}", "#trust", True)
    if report.visible is not None:
        seen = f"{100 * report.visible:.1f} %"
        return Tile(
            title, seen, "changes from this on could be seen on half of the tasks", "#trust"
        )
    if not changes:
        return Tile(title, "unknown", "no launches of identical code to compare", "#trust", True)
    worst = max(changes)
    return Tile(
        title,
        f"{100 * worst:.0f} %",
        f"identical code differs by up to this; {wanted}",
        "#trust",
        worst > MARGIN,
    )


def _human(report: Report) -> Tile:
    found = Counter(row.reference for row in report.speedups)
    seen, whole = found["reproduced"], found["reproduced"] + found["not reproduced"]
    return Tile(
        "Human's gains seen",
        f"{seen:,}/{whole:,}",
        "tasks on which the human's commit was faster here",
        "#trust",
        seen < whole or not whole,
    )
