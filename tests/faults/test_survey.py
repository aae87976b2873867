"""Tests of the survey: it finds lost, repeated, altered and left files of a run."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.faults import cut, moments, rows, survey, trial
from tests.faults.kinds import FAMILIES
from tests.faults.rows import Row
from tests.unit.conftest import ROOT
from tests.workflow.project import Project

COMMIT, DIGEST = cut.SERVING, "d1"
KIND = SimpleNamespace(endings={}, runtime="docker", slots=1)
PLACE = f"runs/{COMMIT}/block-1/alba"


def test_pages_count_the_kinds_that_there_are() -> None:
    kinds = {kind.name for kinds in FAMILIES.values() for kind in kinds}
    rows_ = re.findall(r"^\| ([a-z0-9.-]+) \|", (ROOT / "docs/reliability.md").read_text(), re.M)
    assert kinds <= {*rows_}
    for page in ("README.md", "Makefile"):
        counts = re.findall(r"(\d+) ways", (ROOT / page).read_text())
        assert counts == [str(len(kinds))], page


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A project with one finished launch."""
    copy = Project(tmp_path)
    folder = copy.results / PLACE
    folder.mkdir(parents=True)
    (folder / survey.RECORD).write_text(json.dumps({"block_digest": DIGEST, "ended": 1}))
    (folder / "server.stdout").write_text("ready\n")
    event(copy, "run_started")
    event(copy, "run_finished")
    return copy


def event(project: Project, name: str, cause: str = "") -> None:
    journal = project.results / "journal" / COMMIT / "block-1.jsonl"
    journal.parent.mkdir(parents=True, exist_ok=True)
    line = {"event": name, "commit": COMMIT, "block": 1, "arm": "alba", "digest": DIGEST}
    with journal.open("a") as out:
        out.write(json.dumps({**line, "cause": cause}) + "\n")


def test_a_launch_that_stays_as_it_was_is_neither_lost_nor_repeated(project: Project) -> None:
    results = survey.finished(project)
    assert [survey.place(project, key) for key in results] == [PLACE]
    assert survey.lost(project, results, set()) == []
    assert survey.repeated(project, results, set()) == []


@pytest.mark.parametrize("how", ["gone", "changed", "one file gone"])
def test_a_lost_or_changed_file_is_seen(project: Project, how: str) -> None:
    results = survey.finished(project)
    folder = project.results / PLACE
    if how == "gone":
        shutil.rmtree(folder)
    elif how == "changed":
        (folder / "server.stdout").write_text("Ready\n")
    else:
        (folder / "server.stdout").unlink()
    assert f"{PLACE}/server.stdout" in survey.lost(project, results, set())
    assert survey.lost(project, results, {PLACE}) == []


def test_files_of_others_stay_as_they_are(tmp_path: Path) -> None:
    kept, changed, made = (tmp_path / name for name in ("kept", "changed", "made"))
    kept.write_text("theirs")
    changed.write_text("ours")
    case: Any = SimpleNamespace(others={kept: b"theirs", changed: b"theirs", made: None})
    assert survey.harmed(case) == ["another's changed"]
    made.touch()
    assert survey.harmed(case) == ["another's changed", "another's made"]


def test_a_launch_that_was_set_aside_is_not_lost(project: Project) -> None:
    results = survey.finished(project)
    aside = project.results / "superseded" / COMMIT / "block-1" / "alba-2026"
    aside.parent.mkdir(parents=True)
    (project.results / PLACE).rename(aside)
    assert survey.lost(project, results, set()) == []
    (aside / "server.stdout").write_text("other\n")
    assert survey.lost(project, results, set()) == [f"{PLACE}/server.stdout"]


@pytest.mark.parametrize("events", [["run_finished"], ["run_started"]])
def test_a_second_end_or_a_late_start_is_a_repeat(project: Project, events: list[str]) -> None:
    results = survey.finished(project)
    for name in events:
        event(project, name)
    assert survey.repeated(project, results, set()) == [PLACE]
    assert survey.repeated(project, results, {PLACE}) == []


def test_a_cause_that_the_fault_brought_is_seen_in_the_journal(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(project, "table", lambda _: [])
    case: Any = SimpleNamespace(project=project, kind=KIND)
    event(project, "run_finished", cause="server.crash")
    assert f"{COMMIT[:8]} alba: server.crash in the journal" in survey.wrong_endings(case)


def test_a_record_of_a_failure_is_seen(project: Project) -> None:
    case: Any = SimpleNamespace(project=project, kind=KIND)
    path = project.results / "images" / COMMIT / "alba.json"
    path.parent.mkdir(parents=True)
    record = {"status": "failed", "commit": COMMIT, "arm": "alba", "cause": "patch.import"}
    path.write_text(json.dumps(record))
    assert survey.charged(case) == [f"images/{COMMIT}/alba.json: patch.import"]


def test_moments_are_the_same_for_the_same_seed_and_differ_between_seeds() -> None:
    drawn = [str(moments.drawn("disk-full", seed, moments.ANY, 8, 0)) for seed in (1, 2, 3, 1)]
    assert drawn[0] == drawn[3]
    assert len(set(drawn)) == 3


def test_every_kind_draws_from_moments_that_there_are() -> None:
    for kind in (kind for kinds in FAMILIES.values() for kind in kinds):
        assert set(kind.moments) <= set(moments.MOMENTS)
        assert kind.runtime in ("docker", "process")


def row(**more: Any) -> Row:
    usual = {
        "fault": "sigkill-run", "seed": 1, "runtime": "docker", "moment": "start",
        "at": "2026-01-01", "version": "v", "finished": True,
    }  # fmt: skip
    return Row(**{**usual, **more})


def test_the_table_counts_what_is_wrong(tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    rows.add(file, row(lost=["a"], finished=False))
    rows.add(file, row())  # the case again: its last row counts
    rows.add(file, row(seed=2, repeated=["x", "y"], leftovers=["z"]))
    text = rows.table(rows.read(file), FAMILIES, "a machine")
    line = next(line for line in text.splitlines() if line.startswith("| sigkill-run"))
    assert line.endswith("| 2 | 2 | 2 | 0 | 0 | 1 | – |")
    assert "1 kinds of faults, 2 cases, of which 1 without anything wrong" in text
    page = tmp_path / "page.md"
    page.write_text(f"before\n{rows.BEGIN}\nold\n{rows.END}\nafter\n")
    rows.publish(page, text)
    assert page.read_text() == f"before\n{rows.BEGIN}\n{text}{rows.END}\nafter\n"


def test_a_traceback_is_ours_if_it_goes_through_code_of_ours() -> None:
    head, last = "said\nTraceback (most recent call last):\n", "OSError: full\nmore\n"
    ours = f'{head}  File "/x/src/patchbench/block.py", line 8, in f\n    main()\n{last}'
    theirs = f'{head}  File "/x/snakemake/jobs.py", line 8, in f\n\n    main()\n{last}'
    assert trial.traceback(ours)
    assert not trial.traceback(theirs)
    assert trial.traceback(theirs + ours)
    assert not trial.traceback("patchbench: infra.disk_full | /x/src/patchbench/a\n")
