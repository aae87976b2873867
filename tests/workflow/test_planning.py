"""Plans of the same command after something changed, on an engine that does nothing."""

from __future__ import annotations

import shutil
from typing import Any

import msgspec
import pytest

from tests import idle
from tests.workflow.project import Project

pytestmark = pytest.mark.workflow

AGENTS = {"alba": 1800, "brio": 1001}
# A file of each kind that a later stage reads, and the rule that makes it.
RECORDS = {
    "tasks/*.json": "resolve_task",
    "patches/*/alba/validation.json": "validate_patch",
    "images/*/alba.json": "build_image",
    "tables/outcomes.parquet": "aggregate",
}


def run(project: Project, args: list[str]) -> str:
    """Run Snakemake to a good end and return what it printed to stderr."""
    done = project.snakemake(*args)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stderr


def verdicts(project: Project) -> dict[str, str]:
    """Return each arm's verdict or cause."""
    return {r["arm"]: r["cause"] or r["verdict"] for r in project.table("outcomes")}


def block(project: Project, number: int) -> dict[str, Any]:
    """Return the record of a block."""
    (path,) = project.results.glob(f"runs/*/block-{number}/block.json")
    record: dict[str, Any] = msgspec.json.decode(path.read_bytes())
    return record


def test_an_agent_that_comes_later_gets_blocks_of_its_own(finished: Project) -> None:
    project, args = finished, [*idle.OPTIONS]
    before, alba = project.finished(), project.compared("alba")
    assert verdicts(project)["alba"] == "faster"
    assert verdicts(project)["brio"] == "same"
    config = idle.read(project)
    (commit,) = {commit for commit, *_ in before}
    idle.write_patch(project, "dora", commit, 1700)
    agents = config["agents"] | {"dora": {"patches": "patches/dora"}}
    idle.write(project, config | {"agents": agents})
    run(project, args)
    new = project.finished() - before
    assert before <= project.finished()
    assert {number for _, number, _, _ in new} == {101, 102}
    assert {arm for _, _, arm, _ in new} == {"baseline", "human", "dora", "baseline-aa"}
    assert project.compared("alba") == alba
    assert verdicts(project)["dora"] == "faster"
    assert project.plans_nothing(*args)
    # Without the agent the report is rendered again and nothing is measured.
    idle.write(project, config)
    run(project, args)
    assert project.finished() == before + new


def test_a_changed_patch_measures_its_task_again_and_keeps_the_old_runs(finished: Project) -> None:
    project, args = finished, [*idle.OPTIONS]
    before = project.finished()
    (commit,) = {commit for commit, *_ in before}
    idle.write_patch(project, "brio", commit, 1600)
    run(project, args)
    after = project.finished()
    assert before <= after
    assert set(after.values()) == {1}
    assert len(after) == 2 * len(before)
    assert list((project.results / "superseded").rglob("run.json"))
    assert verdicts(project)["brio"] == "faster"
    assert project.plans_nothing(*args)


def test_blocks_go_on_only_while_an_interval_is_wide(project: Project) -> None:
    protocol = {"blocks": {"min": 3, "max": 4}, "aa_blocks": 5}
    args = idle.make(project, AGENTS, protocol=protocol)
    run(project, args)
    # No arm needs a fourth block; A/A pairs go on alone.
    assert {number for _, number, _, _ in project.finished()} == {1, 2, 3, 4, 5}
    assert block(project, 4)["order"] == ["baseline-aa", "baseline"]
    assert block(project, 5)["order"] == ["baseline", "baseline-aa"]
    (twice,) = (row for row in project.table("comparisons") if row["role"] == "aa")
    assert twice["pairs"] == 5
    assert {row["pairs"] for row in project.table("comparisons")} == {3, 5}
    assert project.plans_nothing(*args)
    # Fewer pairs wanted: what was measured stays.
    before = project.finished()
    idle.write(project, idle.read(project) | {"protocol": protocol | {"aa_blocks": 0}})
    run(project, args)
    assert project.finished() == before
    assert "not_needed" not in {block(project, number)["status"] for number in (1, 2, 3, 4)}


def test_what_is_deleted_is_made_again_and_nothing_else(project: Project) -> None:
    args = idle.make(project, AGENTS, commits=2, protocol={"blocks": 2})
    run(project, args)
    before, ends = project.finished(), verdicts(project)
    assert project.plans_nothing(*args)
    asides = {}
    for pattern in RECORDS:
        record = next(project.results.glob(pattern))
        asides[record] = record.rename(record.with_name("aside"))
    planned = project.snakemake("-n", *args)
    for rule in RECORDS.values():
        assert f"\nrule {rule}:\n" in planned.stdout + planned.stderr, planned.stderr
    for record, aside in asides.items():
        aside.rename(record)
    # A record of a commit, and another commit's second block.
    task, other = sorted(project.results.glob("tasks/*.json"))
    task.unlink()
    lost = project.results / "runs" / other.stem / "block-2"
    stamps = {p: p.stat().st_mtime_ns for p in (project.results / "runs").rglob("run.json")}
    shutil.rmtree(lost)
    run(project, args)
    assert task.is_file()
    again = project.finished() - before
    assert {(commit, number) for commit, number, _, _ in again} == {(other.stem, 2)}
    unchanged = {p: stamp for p, stamp in stamps.items() if lost not in p.parents}
    assert {p: p.stat().st_mtime_ns for p in unchanged} == unchanged
    assert verdicts(project) == ends
    assert project.plans_nothing(*args)


def test_report_alone_renders_anew_and_starts_nothing_else(project: Project) -> None:
    args = idle.make(project, AGENTS, protocol={"blocks": 1})
    run(project, args)
    before = {p: p.stat().st_mtime_ns for p in (project.results / "runs").rglob("*")}
    template = project.folder / "src/patchbench/report/report.md.j2"
    template.write_text(template.read_text() + "\nA line of the test.\n")
    run(project, ["report", "--cores", "1", "--configfile", idle.CONFIG])
    assert "A line of the test." in (project.results / "report.md").read_text()
    assert {p: p.stat().st_mtime_ns for p in (project.results / "runs").rglob("*")} == before
    assert project.plans_nothing(*args)
