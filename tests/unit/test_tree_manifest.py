"""A tree that another process changed is made anew, and its arm is not charged with that."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from patchbench.errors import InfraFault
from patchbench.runtimes import tree_manifest
from patchbench.runtimes.base import Place
from patchbench.runtimes.process import ProcessRuntime
from patchbench.system.processes import Guard
from tests.fixtures.bad_patches import Repo, subject

GUARD = cast(Guard, SimpleNamespace(check=lambda: None))


@pytest.fixture
def built(tmp_path: Path) -> tuple[ProcessRuntime, Any, str, Repo]:
    """A runtime with one tree: its task, name and repository."""
    repo = Repo.make(tmp_path / "r")
    runtime = ProcessRuntime(tmp_path / "work", tmp_path / "results")
    task = repo.task(subject=subject(overlay=None))
    image = runtime.image(task, "alba", None)
    runtime.build(task, "alba", image, None, repo.git, tmp_path / "log", GUARD)
    return runtime, task, image, repo


def start(runtime: ProcessRuntime, image: str, role: str = "server") -> None:
    folder = Path(image).parent
    child = runtime.launch(
        image, ["true"], env={}, stdout=folder / "o", stderr=folder / "e",
        place=Place("c" * 40, "alba", role),
    )  # fmt: skip
    child.stop(5)


def remove(tree: Path) -> None:
    (tree / "engine/core.py").unlink()


def append(tree: Path) -> None:
    with (tree / "engine/core.py").open("a") as file:
        file.write("raise SystemExit\n")


def relink(tree: Path) -> None:
    (tree / "engine/link.py").unlink()
    (tree / "engine/link.py").symlink_to("core.py")


@pytest.mark.parametrize("harm", [remove, append, relink])
def test_a_tree_that_was_changed_is_made_anew(built, tmp_path: Path, harm) -> None:
    runtime, task, image, repo = built
    start(runtime, image)
    harm(Path(image))
    with pytest.raises(
        InfraFault, match=r"^infra\.tree_changed .*arm alba .*engine/(core|link)\.py"
    ):
        start(runtime, image)
    assert not runtime.exists(image)
    runtime.build(task, "alba", image, None, repo.git, tmp_path / "log", GUARD)
    assert runtime.exists(image)
    start(runtime, image)


def test_what_an_engine_writes_itself_is_no_damage(built) -> None:
    runtime, _, image, _ = built
    tree = Path(image)
    (tree / "engine/__pycache__").mkdir()
    (tree / "engine/__pycache__/core.pyc").touch()
    (tree / "result.json").touch()
    os.utime(tree / "engine/core.py", (1, 1))
    assert tree_manifest.damage(tree) == ""
    start(runtime, image)


def test_a_tree_of_an_older_version_counts_as_whole(built) -> None:
    runtime, _, image, _ = built
    tree_manifest.manifest_file(Path(image)).unlink()
    remove(Path(image))
    assert runtime.exists(image)
