"""The particulars of each cell of the matrix: outcome, evidence, blocks, patch, repetition."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from patchbench.failures.causes import CAUSES
from patchbench.report.excerpts import Line, Text, around, beginning
from patchbench.report.kinds import KINDS, kind, mark, title
from patchbench.report.layout.grid import anchor, commit, is_hash, place, url
from patchbench.report.layout.speedups import patch_links
from patchbench.report.model import Cell, Report, SpeedupRow
from patchbench.report.page.intervals import Scale, scale
from patchbench.report.page.matrix import shown_arms
from patchbench.report.text.phrases import listed, percent, plural, sentence_case

# Bytes of patches that the page holds in all; the others are links.
MOST_PATCHES = 3 << 20


class Block(NamedTuple):
    """One launch of the arm: its ratio to the baseline with its place on the scale, and its raw
    logs."""

    number: int
    ratio: str
    at: float | None
    href: str


class Drawer(NamedTuple):
    """Everything about one arm of one commit."""

    place: str
    row: str
    commit: str
    title: str
    arm: str
    kind: str
    words: str
    facts: tuple[tuple[str, str], ...]
    evidence: str
    where: str
    href: str
    excerpt: tuple[Line, ...]
    scale: Scale | None
    blocks: tuple[Block, ...]
    patch: Text
    links: tuple[tuple[str, str], ...]
    repeat: tuple[str, ...]
    note: str
    before: str
    after: str


def drawers(report: Report, results: Path) -> tuple[Drawer, ...]:
    """Return the particulars of every cell of the matrix, in its order."""
    arms = shown_arms(report)
    cells = [
        (row, cell)
        for row in report.speedups
        for arm in arms
        for cell in row.cells
        if cell.arm == arm
    ]
    places = [anchor("cell", row.commit, cell.arm) for row, cell in cells]
    left = MOST_PATCHES
    found = []
    for at, (row, cell) in enumerate(cells):
        patch = _patch(results, cell)
        size = sum(map(len, patch.lines))
        if size > left:
            patch = Text()
        left -= size if patch.lines else 0
        around_it = (places[at - 1] if at else "", places[at + 1] if at + 1 < len(cells) else "")
        found.append(_drawer(report, results, row, cell, patch, around_it))
    return tuple(found)


def _drawer(
    report: Report,
    results: Path,
    row: SpeedupRow,
    cell: Cell,
    patch: Text,
    neighbours: tuple[str, str],
) -> Drawer:
    name = kind(cell)
    ratios = [one.ratio for one in cell.block_ratios]
    blocks = scale(ratios, ratios) if ratios else None
    repeat, note = _repeat(report, row, cell)
    return Drawer(
        place=anchor("cell", row.commit, cell.arm),
        row=anchor("commit", row.commit),
        commit=commit(row.commit).text,
        title=row.title,
        arm=title(report, cell.arm),
        kind=name,
        words=f"{mark(cell)} {KINDS[name][0]}",
        facts=tuple(_facts(report, row, cell)),
        evidence=cell.evidence,
        where=place(cell.link, cell.line),
        href=url(cell.link),
        excerpt=around(results, cell.link, cell.line),
        scale=blocks,
        blocks=tuple(_blocks(row, cell, blocks)),
        patch=patch,
        links=patch_links(cell),
        repeat=repeat,
        note=note,
        before=neighbours[0],
        after=neighbours[1],
    )


def _facts(report: Report, row: SpeedupRow, cell: Cell) -> Iterator[tuple[str, str]]:
    if cell.ratio is not None and cell.low is not None and cell.high is not None:
        span = f"{cell.ratio:.2f}x [{cell.low:.2f}, {cell.high:.2f}]"
        p = "" if cell.p_adjusted is None else f", adjusted p {cell.p_adjusted:.2g}"
        yield "Ratio to the baseline", f"{span} ({100 * cell.level:.3g} % interval{p})"
        yield "Metric", f"{row.metric}, {plural(cell.pairs, 'pair')} of launches"
    if cell.human:
        words = {">": "faster", "≥": "not worse beyond noise", "<": "slower", "~": "can't be told"}
        yield "Beside the human's commit", words[cell.human]
    if cell.review:
        yield "To review", cell.review
    if cell.verdict == "inconclusive" and cell.blocks_needed:
        yield "Blocks that would decide", f"about {cell.blocks_needed}"
    if cell.status == "missing":
        yield "No patch", "lack of coverage, no failure: it counts in no rate"
    elif cell.cause:
        cause = CAUSES.get(cell.cause, CAUSES["unknown"])
        yield "Cause", f"{cell.cause}: {cause.title}"
        yield "Charged to", cell.blame
        yield "Stage", cell.stage
        yield "Next step", sentence_case(cause.advice)
    if cell.blocks_measured + cell.blocks_failed:
        blocks = f"{cell.blocks_measured} measured, {cell.blocks_failed} failed"
        yield "Blocks", blocks
    if diff := cell.diff:
        tests = ", touches tests" if diff.tests_touched else ""
        lines = f"+{diff.lines_added} −{diff.lines_removed} lines in {plural(diff.files, 'file')}"
        yield "Patch", f"{lines}{tests}"
        if diff.similarity is not None:
            yield "Similar to the human's", percent(diff.similarity)
        if diff.prompt_overlap is not None:
            yield "Human's lines in the prompt", percent(diff.prompt_overlap)
    key = (row.commit, cell.arm)
    for answers in report.answers:
        if (answers.commit, answers.arm) == key:
            said = (answers.check, answers.status.replace("_", " "))
            yield "Answers", " ".join(filter(None, said))
    found = {
        f"{one.cause} ({one.severity})" for one in report.findings if (one.commit, one.arm) == key
    }
    if found:
        yield "Audit", listed(sorted(found))


def _blocks(row: SpeedupRow, cell: Cell, common: Scale | None) -> Iterator[Block]:
    ratios = {one.block: one.ratio for one in cell.block_ratios}
    for block in sorted({*ratios, *cell.launches}):
        ratio = ratios.get(block)
        logs = is_hash(row.commit) and block in cell.launches
        yield Block(
            number=block,
            ratio="–" if ratio is None else f"{ratio:.2f}x",
            at=common.place(ratio) if common and ratio is not None else None,
            href=url(f"runs/{row.commit}/block-{block}/{cell.arm}/") if logs else "",
        )


def _patch(results: Path, cell: Cell) -> Text:
    """Return the beginning of the patch as measured; as fetched, if it never got so far."""
    if not patch_links(cell):
        return Text()
    return beginning(results, f"{cell.patch}/{'applied' if cell.patch_sha256 else 'patch'}.diff")


def _repeat(report: Report, row: SpeedupRow, cell: Cell) -> tuple[tuple[str, ...], str]:
    """Return the commands that repeat a cell, and what they do."""
    if not report.about.compared or not is_hash(row.commit):
        return (), ""
    run = "patchbench run --config CONFIG"
    at = report.about.results.rstrip("/")
    if cell.launches:
        numbers = ",".join(map(str, cell.launches))
        blocks = f"{{{numbers}}}" if len(cell.launches) > 1 else numbers
        return (
            f"rm -r {at}/runs/{row.commit}/block-{blocks}",
            run,
        ), "Measures these blocks again, with all their arms."
    if cell.status == "missing":
        return (), ""
    return ("patchbench doctor --config CONFIG",), "Checks every patch again, without a GPU."
