"""A damaged record ends a job with "delete the file and run again": then it is made again."""

from __future__ import annotations

import pytest

from tests.workflow.project import Project

pytestmark = pytest.mark.workflow

RECORDS = (
    "tasks/*.json",
    "patches/*/alba/validation.json",
    "images/*/alba.json",
    "tables/outcomes.parquet",
)


def endings(project: Project) -> set[tuple[str, ...]]:
    """What became of each arm."""
    return {
        (r["commit"], r["arm"], r["status"], str(r["cause"])) for r in project.table("outcomes")
    }


def test_every_record_that_is_deleted_is_made_again(project: Project) -> None:
    args = project.small_config()
    assert project.snakemake(*args, timeout=200).returncode == 0
    before, ends = project.finished(), endings(project)
    assert project.plans_nothing(*args)
    for pattern in RECORDS:
        record = next(project.results.glob(pattern))
        aside = record.with_name("aside")
        record.rename(aside)
        assert not project.plans_nothing(*args), pattern
        aside.rename(record)
    # A commit of which nothing is left, although the report stands there with it.
    whole = [project.results / name for name in ("tasks", "patches", "images", "runs", "metrics")]
    for folder in whole:
        folder.rename(folder.with_name(f"{folder.name}-aside"))
    assert not project.plans_nothing(*args)
    for folder in whole:
        folder.with_name(f"{folder.name}-aside").rename(folder)
    task = next(project.results.glob(RECORDS[0]))
    task.unlink()
    done = project.snakemake(*args, timeout=200)
    assert done.returncode == 0, done.stderr[-3000:]
    assert task.is_file()
    assert project.finished() == before
    assert endings(project) == ends
