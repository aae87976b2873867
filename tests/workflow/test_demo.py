"""The demo, worked off once as a person does it: every patch ends as its author meant."""

from __future__ import annotations

import math
import shutil
from pathlib import Path

import pytest

from patchbench.verdicts.rule import MARKS
from tests.workflow.conftest import copy_project
from tests.workflow.endings import FAILURES, MEASURED, check, expected
from tests.workflow.looking import LOOKING, state
from tests.workflow.project import Project

pytestmark = pytest.mark.workflow


def test_every_patch_ends_as_its_author_meant(demo: Project) -> None:
    wanted = expected()
    check(demo, wanted.items())
    arms = {(r["commit"][:8], r["arm"]) for r in demo.table("outcomes")}
    assert {key for key in arms if key[1] not in ("baseline", "human")} == wanted.keys()


def test_every_way_in_which_a_patch_ends_is_there() -> None:
    assert set(expected().values()) == MEASURED.keys() | FAILURES.keys() | {"excluded"}


def test_the_humans_gains_are_seen(demo: Project) -> None:
    human = [r for r in demo.table("outcomes") if r["arm"] == "human" and r["status"] != "excluded"]
    assert len(human) == 6
    assert {r["type"] for r in human} == {"serving", "latency", "throughput"}
    rows = [r for r in demo.table("comparisons") if r["role"] == "primary" and r["arm"] == "human"]
    # Between 2.1 and 4.8 times on a quiet machine; a busy one may blur one of them, not all.
    assert math.prod(row["ratio"] for row in rows) > 2.0**6


def test_a_null_parent_is_resolved_and_eight_gpus_exclude(demo: Project) -> None:
    tasks = {row["commit"][:8]: row for row in demo.table("tasks")}
    assert tasks["c5d882c7"]["parent_origin"] == "git rev-parse COMMIT^"
    assert len(tasks["c5d882c7"]["parent"]) == 40
    assert tasks["b80bc693"]["status"] == "excluded"
    assert tasks["b80bc693"]["exclusion"] == "needs_gpus:8"


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
    lines = [line for line in speedups.splitlines() if line.startswith("| ")]
    rows = {line[2:10]: line for line in reversed(lines)}  # the first table's
    columns = {"alba": 4, "brio": 5, "corso": 6}
    verdicts = {(r["commit"][:8], r["arm"]): r["verdict"] for r in demo.table("outcomes")}
    for (commit, agent), ending in expected().items():
        if ending == "excluded":
            assert commit not in rows
            continue
        shown = rows[commit].strip("| ").split(" | ")[columns[agent]]
        word = FAILURES.get(ending) or MARKS[verdicts[commit, agent]]
        # A missing patch is no failure.
        word = "no patch" if word == "patch.missing" else f"`{word}`"
        assert word in shown, (commit, agent, shown)
    for name in ("speedups", "outcomes"):
        assert (demo.results / "figures" / f"{name}.svg").stat().st_size > 1000
        assert f"(figures/{name}.svg)" in report


def test_the_numbers_of_every_agent_add_up(demo: Project) -> None:
    outcomes = demo.table("outcomes")
    for agent in ("alba", "brio", "corso"):
        statuses = [r["status"] for r in outcomes if r["arm"] == agent]
        assert len(statuses) == 7
        counted = {s: statuses.count(s) for s in ("measured", "failed", "excluded", "pending")}
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


def test_looking_at_a_finished_run_changes_nothing(demo: Project) -> None:
    before = state(demo)
    for words in (*LOOKING, ("--report", "shown.html"), ("--report", "shown.zip")):
        done = demo.snakemake(*words)
        assert done.returncode == 0, done.stderr
        assert state(demo) == before, words
    assert (demo.folder / "shown.html").stat().st_size > 10_000
