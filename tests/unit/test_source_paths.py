"""Relative paths: the working folder's file, else the one in the workflow's own folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from patchbench.patches.repository import ensure_repository
from patchbench.plan import source_paths
from patchbench.subject import Source
from patchbench.system import source_folder
from tests.unit import make


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workflow's folder with a few files; the working folder is another one, and empty."""
    shipped = tmp_path / "shipped"
    for name in ("config/subjects", "envs/images", "patches/alba"):
        (shipped / name).mkdir(parents=True)
    (shipped / "tasks.yaml").touch()
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.delenv(source_folder.SOURCE, raising=False)
    return shipped


def test_the_working_folder_comes_first(source: Path) -> None:
    assert source_folder.find("tasks.yaml", str(source)) == str(source / "tasks.yaml")
    Path("tasks.yaml").touch()
    assert source_folder.find("tasks.yaml", str(source)) == "tasks.yaml"


def test_what_is_nowhere_stays_as_it_is(source: Path) -> None:
    for path in ("gone.yaml", "/gone.yaml", "", "--flag"):
        assert source_folder.find(path, str(source)) == path
    assert source_folder.find("tasks.yaml") == "tasks.yaml"
    script = f"make one; {'make another; ' * 30}"  # longer than a file's name can be
    assert source_folder.find(script, str(source)) == script


def test_a_new_repository_lies_below_the_working_folder(
    source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A run in the workflow's own folder makes the same repository at this moment.
    (source / "work/.engine.git.new").mkdir(parents=True)
    monkeypatch.setenv(source_folder.SOURCE, str(source))
    prepare = ("git", "init", "--quiet", "--bare", "{repo}")
    subject = make.subject(source=Source(repo="work/engine.git", prepare=prepare))
    assert ensure_repository(subject, "python") == Path("work/engine.git")
    assert Path("work/engine.git/HEAD").is_file()


def test_jobs_know_the_folder_by_their_environment(
    source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(source_folder.SOURCE, str(source))
    assert source_folder.find("tasks.yaml") == str(source / "tasks.yaml")


def test_every_path_of_a_configuration_is_looked_up(source: Path) -> None:
    config = {
        "campaign": "c",
        "tasks": ["tasks.yaml", {"file": "tasks.yaml", "subject": "s"}, "gone.yaml"],
        "parents": [{"file": "tasks.yaml", "get": "x"}],
        "agents": {
            "alba": {"patches": "patches/alba"},
            "brio": {"patches": [{"kind": "folder", "path": "patches/alba"}, {"hub": "x/y"}]},
        },
    }
    before = repr(config)
    tasks, alba = str(source / "tasks.yaml"), str(source / "patches/alba")
    assert source_paths.resolve(config, str(source)) == {
        "campaign": "c",
        "subjects": str(source / "config/subjects"),
        "recipes": str(source / "envs/images"),
        "tasks": [tasks, {"file": tasks, "subject": "s"}, "gone.yaml"],
        "parents": [{"file": tasks, "get": "x"}],
        "agents": {
            "alba": {"patches": alba},
            "brio": {"patches": [{"kind": "folder", "path": alba}, {"hub": "x/y"}]},
        },
    }
    assert repr(config) == before


def test_in_the_workflows_own_folder_nothing_changes(
    source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(source)
    config = {"tasks": ["tasks.yaml"], "agents": {"alba": {"patches": "patches/alba"}}}
    assert source_paths.resolve(config, str(source)) == config


def test_values_of_a_wrong_type_are_left_to_the_schema(source: Path) -> None:
    config = {"tasks": "tasks.yaml", "agents": ["x"], "subjects": 3, "recipes": None}
    assert source_paths.resolve(config, str(source)) == config
    config = {"tasks": [3], "agents": {"alba": "x", "brio": {"patches": 3}}}
    found = source_paths.resolve(config, str(source))
    assert (found["tasks"], found["agents"]) == (config["tasks"], config["agents"])
