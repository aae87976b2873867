"""Image recipes: read, checked, and covered by one digest."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from patchbench.errors import BadInput
from patchbench.plan import recipes
from tests.unit import make

GOOD = {"root": "/opt/x", "python": "/usr/bin/python3", "base": {"script": "base.sh"}}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    recipes._read.cache_clear()
    place = tmp_path / "small"
    place.mkdir()
    (place / "base.sh").write_text("exit 0\n")
    (place / "Dockerfile.j2").write_text("FROM {{ base }}\n")
    return place


def read(folder: Path, changes: dict[str, object] | None = None, **limits: int):
    recipes._read.cache_clear()
    (folder / recipes.FILE).write_text(yaml.safe_dump(GOOD | (changes or {})))
    return recipes.recipe(make.config(recipes=str(folder.parent)), "small", "config.yaml", limits)


def test_every_file_of_the_folder_counts(folder: Path) -> None:
    first = read(folder).digest
    assert read(folder).digest == first
    (folder / "requirements.lock").write_text("numpy==1\n")
    assert read(folder).digest != first


def test_limits_of_the_machine_win_over_the_recipes(folder: Path) -> None:
    found = read(folder, {"sandbox": {"memory_mb": 100, "pids": 50}}, memory_mb=999)
    assert (found.sandbox.memory_mb, found.sandbox.pids) == (999, 50)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"base": {"script": "base.sh", "image": "x:1"}}, "one of script and image"),
        ({"base": {"script": "other.sh"}}, "no file"),
        ({"rebuild": ["{pyhton}"]}, "unknown placeholder {pyhton}"),
        ({"dockerfile": "Other.j2"}, "no file"),
        ({"rooot": "/x"}, "did you mean 'root'"),
        ({"fixes": [{"name": "pin", "why": "why", "run": []}]}, "fixes.0.why"),
    ],
)
def test_mistakes_are_named(folder: Path, changes: dict[str, object], said: str) -> None:
    with pytest.raises(BadInput, match=said.replace("{", "[{]").replace("}", "[}]")):
        read(folder, changes)


def test_a_subject_without_recipe_is_said_with_those_there_are(folder: Path) -> None:
    read(folder)
    with pytest.raises(BadInput, match=r"no image recipe .*there are: small"):
        recipes.recipe(make.config(recipes=str(folder.parent)), "other", "config.yaml", {})


def test_the_recipes_of_this_repository_are_sound() -> None:
    root = Path(__file__).resolve().parents[2] / "envs/images"
    names = [path.parent.name for path in root.glob(f"*/{recipes.FILE}")]
    assert {"tinyserve", "vllm"} <= set(names)
    for name in names:
        recipes._read.cache_clear()
        found = recipes.recipe(make.config(recipes=str(root)), name, "config.yaml", {})
        assert found.root.startswith("/")
