"""Count the facts that the report's sentences name and that stand in no table."""

from __future__ import annotations

from collections import Counter
from typing import Any

import msgspec

from patchbench.failures.causes import BLAMES, CAUSES
from patchbench.report.model import CauseRow, Report
from patchbench.report.text.phrases import percent, plural, sentence_case

BEFORE_GPU = ("fetch_patch", "validate_patch", "build_image")
# The most blocks that a task may have (``plan.configuration.BlockRange``).
MOST_BLOCKS = 99
# A prompt with this share of the human's added lines gives the answer away.
LEAKED = 0.5
OTHERS = ("task", "infra", "harness")


class Cause(msgspec.Struct):
    """A cause over all agents, with its number of patches."""

    cause: str
    title: str
    advice: str
    count: int


def facts(report: Report) -> dict[str, Any]:
    """Return the values for words.j2: numbers, and lists of names as a reader sees them."""
    agents, cells = report.agents, [(row, cell) for row in report.speedups for cell in row.cells]
    blames: dict[str, int] = {name: sum(row.blames[name] for row in agents) for name in BLAMES}
    verdicts = Counter[str]()
    for row in agents:
        verdicts.update(row.verdicts)
    causes = [cause for row in report.failures for cause in row.causes]
    stages = Counter[str]()
    for cause in causes:
        if cause.blame == "agent":
            stages[cause.stage] += cause.count
    references = Counter(row.reference for row in report.speedups)
    needed, blocks = _pairs_needed(report)
    totals = ("delivered", "measured", "failed", "missing", "to_review")
    return {
        **{name: sum(getattr(row, name) for row in agents) for name in totals},
        "missing_of": [f"{row.title} {row.missing}" for row in agents if row.missing],
        "faster": sum(row.faster.part for row in agents),
        "at_least_human": sum(row.human.part for row in agents),
        "verdicts": verdicts,
        "judged": sum(row.measured_by == "judge" for row in report.measuring),
        "scored": sum(row.check == "scores" for row in report.answers),
        "rates": [row.success.share for row in agents if row.success.share is not None],
        "blames": blames,
        "others": [f"{n:,} {blame}" for blame, n in blames.items() if blame != "agent" and n],
        "not_agents": sum(blames.get(name, 0) for name in OTHERS),
        "corrected": _corrected(report),
        "agent_causes": _causes(causes, "agent"),
        "other_causes": _causes(causes, "infra", "harness"),
        "early": sum(stages[stage] for stage in BEFORE_GPU),
        "worst_stage": (stages.most_common(1) or [("", 0)])[0],
        "references": references,
        "not_reproduced": [commit[:8] for commit in report.quality.not_reproduced],
        "identical": Counter(row.verdict for row in report.identical),
        "fooled": [row.commit[:8] for row in report.identical if row.different],
        "open_pairs": [row.commit[:8] for row in report.identical if row.is_open],
        "pairs_needed": needed,
        "aa_blocks": blocks,
        "empty_types": [
            f"{row.type} ({plural(row.tasks, 'task')})"
            for row in report.types
            if row.tasks and not row.total
        ],
        "conflicts": sum(row.conflicts for row in report.coverage),
        "open_guards": verdicts["faster, guard open"],
        "undecided": [
            (f"{row.commit[:8]} {cell.arm}", cell.blocks_needed)
            for row, cell in cells
            if cell.verdict == "inconclusive" and cell.status == "measured"
        ],
        "strange": [f"{row.commit[:8]} {cell.arm}" for row, cell in cells if cell.review],
        "leaked": [
            f"{row.commit[:8]} {cell.arm}"
            for row, cell in cells
            if cell.diff and (cell.diff.prompt_overlap or 0.0) >= LEAKED
        ],
    }


def _causes(rows: list[CauseRow], *blames: str) -> list[Cause]:
    counted = Counter[str]()
    for row in rows:
        if row.blame in blames:
            counted[row.cause] += row.count
    known = ((name, CAUSES.get(name, CAUSES["unknown"]), n) for name, n in counted.most_common())
    return [Cause(name, sentence_case(cause.title), cause.advice, n) for name, cause, n in known]


def _corrected(report: Report) -> list[str]:
    """Return the success rates without failures that are the task's or the machine's."""
    out = []
    for row in report.agents:
        others = sum(row.blames[name] for name in OTHERS)
        whole = row.delivered - others
        if others and whole > 0:
            rate = percent(row.measured / whole)
            out.append(f"{row.title} {row.measured}/{whole} = {rate}")
    return out


def _pairs_needed(report: Report) -> tuple[int, int | None]:
    """Return how many more A/A pairs would call identical code the same, and the ``aa_blocks`` that
    adds them; None if that is more than a task can have."""
    more = [(row.blocks_needed or 0) - row.pairs for row in report.identical if row.is_open]
    if not more:
        return 0, None
    rules = report.about.rules
    # An upper bound: finished blocks get no pair, and it is not known here which are finished.
    blocks = max(rules.blocks, rules.max_blocks, rules.aa_blocks) + max(more) if rules else 0
    return max(more), blocks if 0 < blocks <= MOST_BLOCKS else None
