"""The first screen: the verdict in one sentence, four tiles, the matrix, intervals, particulars."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from patchbench.report.counts.block_ratios import block_ratios
from patchbench.report.figures.speedups import drawn_point
from patchbench.report.kinds import KINDS, kind
from patchbench.report.layout import grids
from patchbench.report.model import Report
from patchbench.report.page.drawers import Drawer, drawers
from patchbench.report.page.intervals import forest, scale
from patchbench.report.page.matrix import ROWS, matrix
from patchbench.report.read_tables import of
from patchbench.report.text.first_screen import tiles
from patchbench.verdicts.rule import VERDICTS
from tests.unit import reports
from tests.unit.reports import COMMITS, outcome, small_rows, task

A, B = COMMITS[:2]
SMALL = reports.small()


def values(report: Report) -> dict[str, str]:
    return {tile.title: tile.value for tile in tiles(report)}


def test_the_verdict_is_one_sentence_with_the_gains() -> None:
    assert SMALL.words.headline == (
        "These data do not say which agent is better; 1 of 3 patches made the engine faster."
    )


def test_a_partial_campaign_says_so_first() -> None:
    rows = small_rows()
    rows["outcomes"][5] = outcome(B, "alba", "pending")
    assert reports.built(rows).words.headline.startswith(
        "Not finished, 1 of 8 outcomes pending. These data"
    )


def test_too_few_blocks_for_a_verdict_are_said_first() -> None:
    from patchbench.config import Protocol, VerdictRules
    from patchbench.report.about import rules_of

    rules = rules_of(Protocol(blocks=2), VerdictRules())
    assert reports.small(rules=rules).words.headline == (
        "No verdict is possible: a task has 2 blocks, and a verdict needs 3."
    )


def test_imported_results_claim_no_speedup() -> None:
    imported = reports.small(kind="counts")
    assert "nothing here says if one is faster" in imported.words.headline
    assert values(imported)["Ran to valid metrics"] == "2/3"


def test_the_tiles_count_what_the_tables_count() -> None:
    assert values(SMALL) == {
        "Patches faster": "1/3",
        "Patches failed": "1/3",
        "Noise": "5.0 %",
        "Human's gains seen": "1/1",
    }
    failed = tiles(SMALL)[1]
    assert failed.note == "charged to: 1 agent; 1 without a patch (no failure)"
    without = msgspec.structs.replace(SMALL, human=None)
    assert len(values(without)) == 3


def test_every_verdict_has_a_kind() -> None:
    assert set(VERDICTS) - {"not measured"} <= set(KINDS)


def test_a_missing_patch_is_never_shown_as_a_failure() -> None:
    (cell,) = [c for row in SMALL.speedups for c in row.cells if c.cause == "patch.missing"]
    assert (cell.status, cell.blame, kind(cell)) == ("missing", "", "missing")
    shown = grids(SMALL)
    (row,) = [row for row in shown["patches"].rows if row[0].sort == B and row[1].text == "Brio"]
    assert (row[2].text, row[8].text) == ("no patch", "")
    assert [row[5].text for row in shown["speedups"].rows if row[0].sort == B] == ["no patch"]
    found = matrix(SMALL)
    assert found is not None
    (square,) = [s for row in found.rows for s in row.squares if s and s.kind == "missing"]
    assert (square.words, square.note) == ("–\u00a0no patch", "")


def test_a_square_has_mark_and_word() -> None:
    found = matrix(SMALL)
    assert found is not None
    assert found.heads == ("Human", "Alba", "Brio")
    words = [[s and (s.words, s.note) for s in row.squares] for row in found.rows]
    assert words[0][1] == ("+\u00a01.40x", "faster, > human")
    assert words[1][1] == ("✗\u00a0crash", "failed: agent")


def test_a_large_campaign_has_no_matrix() -> None:
    large = msgspec.structs.replace(SMALL, speedups=SMALL.speedups * (ROWS // 2 + 1))
    assert matrix(large) is None


def test_all_intervals_stand_on_one_scale() -> None:
    found = forest(SMALL)
    assert [len(group.rows) for group in found.groups] == [3]
    human, alba, brio = found.groups[0].rows
    assert 0 <= brio.low < brio.at < brio.high < human.at < alba.at <= 100
    assert brio.at == found.scale.one
    assert alba.verdict == "+ faster, > human"
    assert (alba.ratio, alba.decided, brio.decided) == ("1.40x", True, False)


def test_a_scale_holds_its_ends_and_clamps_what_lies_beyond() -> None:
    found = scale([0.5], [4.0])
    assert found.place(1e-9) == 0
    assert found.place(1e9) == 100
    places = [at for at, _ in found.ticks]
    assert places == sorted(places)
    assert (found.one, "1x") in found.ticks


@pytest.mark.parametrize(("metric", "value", "ratio"), [("ttft_median_ms", 80.0, 1.25),
                                                        ("output_tps", 80.0, 0.8)])  # fmt: skip
def test_a_blocks_ratio_is_over_one_if_better(metric: str, value: float, ratio: float) -> None:
    base = {"commit": A, "launched": True, "status": "measured", "metric": metric}
    runs = [
        base | {"arm": arm, "block": block, "value": figure}
        for block in (2, 1)
        for arm, figure in (("baseline", 100.0), ("alba", value), ("baseline-aa", 50.0))
    ]
    tables = of(reports.tables({"tasks": [task(A, primary_metric=metric)], "runs": runs}))
    found = block_ratios(tables.values, tables.tasks)
    assert set(found) == {(A, "alba")}
    assert [(one.block, one.ratio) for one in found[A, "alba"]] == [(1, ratio), (2, ratio)]


def particulars(results: Path) -> Drawer:
    link = f"runs/{B}/x"
    (results / link).mkdir(parents=True)
    log = "".join(f"step {n}\n" for n in range(1, 7)) + "IndexError: 3\nend\n"
    (results / link / "server.stderr").write_text(log, encoding="utf-8")
    patch = results / "patches" / B / "alba"
    patch.mkdir(parents=True)
    (patch / "patch.diff").write_text("--- a\n+++ b\n-old\n+<new>\n", encoding="utf-8")
    rows = small_rows()
    rows["runs"] = [
        {"commit": B, "arm": "alba", "block": block, "launched": True, "status": "failed"}
        for block in (1, 2)
    ]
    (found,) = [
        one for one in drawers(reports.built(rows), results) if one.place == f"cell-{B}-alba"
    ]
    return found


def test_the_particulars_hold_what_a_reader_needs(tmp_path: Path) -> None:
    found = particulars(tmp_path)
    assert [line.text for line in found.excerpt if line.shown] == ["IndexError: 3"]
    assert found.excerpt[-1].text == "end"
    assert found.patch.lines == ("--- a", "+++ b", "-old", "+<new>")
    assert [(block.number, block.href) for block in found.blocks] == [
        (1, f"runs/{B}/block-1/alba/"),
        (2, f"runs/{B}/block-2/alba/"),
    ]
    facts = dict(found.facts)
    assert facts["Cause"] == "server.crash: server died before it was ready"
    assert facts["Charged to"] == "agent"
    assert found.repeat[0] == f"rm -r results/runs/{B}/block-{{1,2}}"


def test_without_files_beside_it_the_particulars_stay_words(tmp_path: Path) -> None:
    found = drawers(SMALL, tmp_path)
    assert len(found) == 6
    assert all(not one.excerpt and not one.patch.lines for one in found)
    assert [one.before for one in found[1:]] == [one.place for one in found[:-1]]


def test_many_failures_are_counted_by_cause_and_agent() -> None:
    assert grids(SMALL)["heat"].rows == []
    rows = small_rows()
    for place in range(21):
        commit = f"{place:040x}"
        rows["tasks"].append(task(commit))
        rows["outcomes"].append(outcome(commit, "baseline"))
        cause = "server.crash" if place < 20 else "bench.timeout"
        rows["outcomes"] += [outcome(commit, "alba", cause), outcome(commit, "brio")]
        rows["patches"] += [{"commit": commit, "arm": a, "status": "ok"} for a in ("alba", "brio")]
    found = grids(reports.built(rows))["heat"]
    assert [[cell.plain for cell in row] for row in found.rows] == [
        ["server.crash", "agent", "21", "0", "21"],
        ["bench.timeout", "agent", "1", "0", "1"],
    ]
    assert [row[2].heat for row in found.rows] == [4, 1]


def test_points_need_an_interval_that_can_be_drawn() -> None:
    (cell,) = [c for c in SMALL.speedups[0].cells if c.arm == "alba"]
    assert drawn_point(cell) is not None
    assert drawn_point(msgspec.structs.replace(cell, high=float("inf"))) is None
    assert drawn_point(msgspec.structs.replace(cell, low=None)) is None
