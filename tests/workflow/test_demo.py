"""The demo, run once as a person runs it: every patch ends as its author meant."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from patchbench.verdicts.rule import MARKS
from tests.workflow.conftest import copy_project
from tests.workflow.project import ROOT, Project

pytestmark = pytest.mark.workflow

# What each ending of examples/tinyserve/expected.yaml means in the table of outcomes.
FAILURES = {
    "empty": "patch.empty",
    "missing": "patch.missing",
    "other_base": "patch.other_base",
    "syntax_error": "patch.syntax",
    "import_error": "patch.import",
    "crash_at_start": "server.crash",
    "crash_under_load": "server.crash_under_load",
    "hang": "bench.timeout",
    "no_metrics": "bench.no_metrics",
    "wrong_output": "bench.wrong_output",
    "edits_client": "patch.forbidden_path",
    "outside_tree": "patch.outside_tree",
}

# By how much the better patch beats the human's commit (examples/tinyserve/tools/verify.py).
BETTER = 1.4
# What the slower patch makes of the baseline.
SLOWER = 0.55


def expected() -> list[dict[str, str]]:
    """The cells of the demo as their author meant them."""
    cells: list[dict[str, str]] = yaml.safe_load(
        (ROOT / "examples/tinyserve/expected.yaml").read_text()
    )["cells"]
    return cells


def ended(outcome: dict[str, Any], against_human: str | None) -> str:
    """The ending that an outcome amounts to."""
    if outcome["status"] == "excluded":
        return "excluded"
    if outcome["status"] == "failed":
        assert outcome["blame"] == "agent", outcome
        assert outcome["evidence"], outcome
        return next(name for name, cause in FAILURES.items() if cause == outcome["cause"])
    if outcome["verdict"] == "faster":
        if against_human == "slower":
            return "faster, but slower than the human's"
        better = against_human == "faster" and outcome["at_least_human"]
        return "better_than_human" if better else "as_good_as_human"
    # On a noisy machine "same" can't always be proved; what must never come out is a speedup.
    return {"same": "no_effect", "inconclusive": "no_effect"}.get(
        outcome["verdict"], outcome["verdict"]
    )


def test_every_patch_ends_as_its_author_meant(demo: Project) -> None:
    outcomes = {(r["commit"][:8], r["arm"]): r for r in demo.table("outcomes")}
    rows, alone = (
        {(r["commit"][:8], r["arm"]): r for r in demo.table("comparisons") if r["role"] == role}
        for role in ("human", "primary")
    )
    wanted = {(c["commit"], c["agent"]): c["ending"] for c in expected()}
    found = {
        key: ended(outcomes[key], rows[key]["verdict"] if key in rows else None) for key in wanted
    }
    # In a noisy moment nobody can tell the better patch from the human's commit, or the slower one
    # from the baseline. Then the report has to say that, with an interval that holds the truth:
    # never the opposite.
    for key, ending in wanted.items():
        if ending == "better_than_human" and found[key] == "as_good_as_human":
            assert rows[key]["verdict"] in ("same", "inconclusive")
            assert rows[key]["low"] < BETTER < rows[key]["high"]
            found[key] = ending
        if ending == "slower" and found[key] == "no_effect":
            assert alone[key]["verdict"] == "inconclusive"
            assert alone[key]["low"] < SLOWER < alone[key]["high"]
            found[key] = ending
    assert found == wanted
    agents = {key for key in outcomes if key[1] not in ("baseline", "human")}
    assert agents == wanted.keys()


def test_every_way_in_which_a_patch_ends_is_there() -> None:
    endings = {cell["ending"] for cell in expected()}
    measured = {"as_good_as_human", "better_than_human", "no_effect", "slower", "excluded"}
    assert endings == measured | FAILURES.keys()


def test_the_humans_gain_is_seen_in_every_task(demo: Project) -> None:
    human = [r for r in demo.table("outcomes") if r["arm"] == "human" and r["status"] != "excluded"]
    assert len(human) == 6
    assert {r["verdict"] for r in human} == {"faster"}
    types = {r["type"] for r in human}
    assert types == {"serving", "latency", "throughput"}


def test_a_null_parent_is_resolved_and_eight_gpus_exclude(demo: Project) -> None:
    tasks = {row["commit"][:8]: row for row in demo.table("tasks")}
    assert tasks["e4df373c"]["parent_origin"] == "git rev-parse COMMIT^"
    assert len(tasks["e4df373c"]["parent"]) == 40
    assert tasks["9fced5b0"]["status"] == "excluded"
    assert tasks["9fced5b0"]["exclusion"] == "needs_gpus:8"


def test_the_report_shows_every_outcome(demo: Project) -> None:
    report = (demo.results / "report.md").read_text()
    headings = [
        "## Executive summary",
        "### 1. Data quality",
        "### 2. Failures by cause and blame",
        "### 3. Coverage",
        "### 4. Benchmark types",
        "## Speedups",
        "## Infrastructure",
        "## What these results mean",
        "## Recommendations",
        "## File locations",
    ]
    places = [report.index(heading) for heading in headings]
    assert places == sorted(places)
    assert "PARTIAL" not in report
    speedups = report[places[5] : places[6]]
    rows = {line[2:10]: line for line in speedups.splitlines() if line.startswith("| ")}
    columns = {"alba": 4, "brio": 5, "corso": 6}
    verdicts = {(r["commit"][:8], r["arm"]): r["verdict"] for r in demo.table("outcomes")}
    for cell in expected():
        if cell["ending"] == "excluded":
            assert cell["commit"] not in rows
            continue
        shown = rows[cell["commit"]].strip("| ").split(" | ")[columns[cell["agent"]]]
        cause = FAILURES.get(cell["ending"])
        mark = MARKS[verdicts[cell["commit"], cell["agent"]]] if cause is None else ""
        assert f"`{cause or mark}`" in shown, (cell, shown)
    for name in ("speedups", "failures", "outcomes"):
        assert (demo.results / "figures" / f"{name}.svg").stat().st_size > 1000
        assert f"(figures/{name}.svg)" in report


def test_the_numbers_of_every_agent_add_up(demo: Project) -> None:
    outcomes = demo.table("outcomes")
    for agent in ("alba", "brio", "corso"):
        mine = [r["status"] for r in outcomes if r["arm"] == agent]
        assert len(mine) == 7
        counted = {s: mine.count(s) for s in ("measured", "failed", "excluded", "pending")}
        assert sum(counted.values()) == 7
        assert counted["pending"] == 0


def test_patched_code_saw_no_secret_and_wrote_nothing_outside(demo: Project) -> None:
    assert not list(demo.folder.parent.rglob("escaped*"))
    logs = [p for p in demo.results.rglob("*") if p.suffix in (".stdout", ".stderr", ".log")]
    assert logs
    assert not [p for p in logs if "not for patches" in p.read_text(errors="replace")]


def test_trees_are_gone_and_raw_files_are_kept(demo: Project) -> None:
    assert not list((demo.folder / ".patchbench" / "trees").glob("*/*/*"))
    launched = {(r["folder"]) for r in demo.table("runs") if r["launched"]}
    for folder in launched:
        assert (demo.folder / folder / "benchmark.stdout").is_file() or (
            demo.folder / folder / "server.stderr"
        ).is_file()


def test_a_dry_run_plans_nothing(demo: Project) -> None:
    assert demo.plans_nothing("--cores", "4", "--resources", "gpu=1")


def test_raw_files_graded_anew_elsewhere_give_the_same_tables(
    demo: Project, tmp_path: Path
) -> None:
    other = copy_project(tmp_path / "elsewhere")
    for name in ("tasks", "patches", "images", "runs", "journal", "cohorts.json"):
        place = demo.results / name
        copy = shutil.copytree if place.is_dir() else shutil.copy
        other.results.mkdir(exist_ok=True)
        copy(place, other.results / name)
    for record in sorted((demo.results / "metrics").glob("*.json")):
        commit = record.stem
        blocks = sorted((other.results / "runs" / commit).glob("block-*/block.json"))
        other.python(
            "workflow/scripts/parse_metrics.py",
            *("--task", f"results/tasks/{commit}.json", "--blocks"),
            *(str(block.relative_to(other.folder)) for block in blocks),
            *("--arms", "baseline", "human", "alba", "brio", "corso", "--min-blocks", "3"),
            *("--out", f"results/metrics/{commit}.json"),
        )
        assert (other.results / "metrics" / record.name).read_bytes() == record.read_bytes()
    config = ("--configfile", "config/config.yaml")
    other.python("workflow/scripts/aggregate.py", *config, "--out", "results/tables")
    for table in sorted((demo.results / "tables").glob("*.parquet")):
        assert (other.results / "tables" / table.name).read_bytes() == table.read_bytes(), table


def test_report_alone_renders_anew_and_starts_nothing_else(demo: Project) -> None:
    template = demo.folder / "src/patchbench/report/report.md.j2"
    before = demo.finished()
    stamps = {p: p.stat().st_mtime_ns for p in (demo.results / "runs").rglob("*")}
    template.write_text(template.read_text() + "\nA line of the test.\n")
    done = demo.snakemake("report", "--cores", "1")
    assert done.returncode == 0, done.stderr
    assert "A line of the test." in (demo.results / "report.md").read_text()
    assert demo.finished() == before
    assert {p: p.stat().st_mtime_ns for p in (demo.results / "runs").rglob("*")} == stamps
    assert demo.plans_nothing()


def test_deleting_one_block_repeats_that_block_alone(demo: Project) -> None:
    before = demo.finished()
    block = next((demo.results / "runs").glob("91c02e4d*/block-2"))
    stamps = {p: p.stat().st_mtime_ns for p in (demo.results / "runs").rglob("run.json")}
    _remove(block)
    done = demo.snakemake("--cores", "4", "--resources", "gpu=1", timeout=200)
    assert done.returncode == 0, done.stderr
    again = demo.finished() - before
    assert {(commit[:8], number) for commit, number, _, _ in again} == {("91c02e4d", 2)}
    assert (block / "block.json").is_file()
    others = {p: t for p, t in stamps.items() if block not in p.parents}
    assert {p: p.stat().st_mtime_ns for p in others} == others
    assert demo.plans_nothing()


def _remove(folder: Path) -> None:
    shutil.rmtree(folder)
