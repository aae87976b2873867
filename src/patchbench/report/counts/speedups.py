"""What became of every patch: ratio, interval and verdict, or the cause why there is none."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from patchbench.records import BASELINE, HUMAN
from patchbench.report.about import About
from patchbench.report.counts.rows import Row, link, text
from patchbench.report.model import Cell, Single, SpeedupRow
from patchbench.report.read_tables import Launch, Source
from patchbench.verdicts.rule import MARKS

Key = tuple[str, str]

# How an arm that was compared with the human's commit stands to it, by the verdict.
AGAINST_HUMAN = {"faster": ">", "slower": "<"}


def speedups(
    about: About, source: Source, tasks: Sequence[Row], outcomes: Sequence[Row]
) -> tuple[SpeedupRow, ...]:
    """A row per planned task, a cell per arm; the baseline's first."""
    comparisons = source.comparisons
    ended = {(row["commit"], row["arm"]): row for row in outcomes}
    primary = {(r["commit"], r["arm"]): r for r in comparisons if r["role"] == "primary"}
    against = {(r["commit"], r["arm"]): r for r in comparisons if r["role"] == "human"}
    blocks = _blocks(source.launches)
    shas = {(row["commit"], row["arm"]): text(row, "measured_sha256") for row in source.patches}
    rows = []
    for task in tasks:
        commit = task["commit"]
        found = [primary[commit, arm] for arm in (HUMAN, *about.agents) if (commit, arm) in primary]
        cells = tuple(
            msgspec.structs.replace(
                _cell(about, ended[key], primary.get(key), against.get(key)),
                launches=blocks.get(key, ()),
                patch_sha256=shas.get(key, ""),
            )
            for arm in (BASELINE, HUMAN, *about.agents)
            if (key := (commit, arm)) in ended
        )
        rows.append(
            SpeedupRow(
                commit=commit,
                title=text(task, "title"),
                type=text(task, "type"),
                metric=text(task, "primary_metric"),
                unit=text(found[0], "unit") if found else "",
                baseline=found[0].get("reference_value") if found else None,
                floor=found[0].get("floor") if found else None,
                reference=text(task, "reference"),
                workload_id=text(task, "workload_id"),
                cells=cells,
            )
        )
    return tuple(rows)


def _blocks(launches: Sequence[Launch]) -> dict[Key, tuple[int, ...]]:
    """Blocks in which each arm was launched."""
    out: dict[Key, list[int]] = {}
    for launch in launches:
        if launch.launched:
            out.setdefault((launch.commit, launch.arm), []).append(launch.block)
    return {key: tuple(sorted(found)) for key, found in out.items()}


def _cell(about: About, outcome: Row, found: Row | None, human: Row | None) -> Cell:
    compared = found or {}
    verdict = outcome["verdict"]
    patch = f"patches/{outcome['commit']}/{outcome['arm']}"
    return Cell(
        arm=outcome["arm"],
        status=outcome["status"],
        verdict=verdict,
        mark=MARKS.get(verdict, "").strip(),
        cause=text(outcome, "cause"),
        blame=text(outcome, "blame"),
        evidence=text(outcome, "evidence"),
        link=link(about.results, outcome.get("evidence_file")),
        value=compared.get("value"),
        ratio=compared.get("ratio"),
        low=compared.get("low"),
        high=compared.get("high"),
        p_adjusted=compared.get("p_adjusted"),
        pairs=compared.get("pairs") or 0,
        blocks_needed=compared.get("blocks_needed"),
        blocks_measured=outcome.get("blocks_measured") or 0,
        blocks_failed=outcome.get("blocks_failed") or 0,
        human=_to_human(outcome, human),
        review=text(outcome, "review"),
        patch="" if outcome["arm"] == BASELINE or not about.compared else patch,
        level=compared.get("level") or 0.95,
    )


def _to_human(outcome: Row, against: Row | None) -> str:
    """How a faster patch stands to the human's commit; empty for any other."""
    if outcome["verdict"] != "faster" or against is None:
        return ""
    return AGAINST_HUMAN.get(against["verdict"], "≥" if outcome.get("at_least_human") else "~")


def singles(rows: Sequence[Row]) -> tuple[Single, ...]:
    """Values that stand alone, because nothing was repeated."""
    return tuple(
        Single(
            commit=row["commit"],
            arm=row["arm"],
            metric=row["metric"],
            value=row["value"],
            unit=text(row, "unit"),
        )
        for row in rows
    )
