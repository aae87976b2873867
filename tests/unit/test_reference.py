"""The tables of config/README.md and the JSON schemas say what is read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jsonschema
import pytest

from patchbench.config import Section
from patchbench.plan.config_file import read_yaml
from patchbench.plan.reference import FILES, README, TABLES, json_schema, rows, with_tables

ROOT = Path(__file__).resolve().parents[2]
KINDS = {
    "config": sorted((ROOT / "config").glob("*.yaml")),
    "subject": sorted((ROOT / "config/subjects").glob("*.yaml")),
    "recipe": sorted((ROOT / "envs/images").glob("*/recipe.yaml")),
    "tasks": [ROOT / "examples/tinyserve/tasks.yaml"],
}


def test_the_tables_in_the_readme_are_those_of_the_structs() -> None:
    text = (ROOT / README).read_text(encoding="utf-8")
    assert {f"<!-- keys: {name} -->" in text for name in TABLES} == {True}
    assert text == with_tables(text), "make reference"


@pytest.mark.parametrize("kind", TABLES.values(), ids=TABLES)
def test_every_key_has_a_text(kind: type[Section]) -> None:
    assert [key for key, _, text in rows(kind) if not text] == []


def test_keys_are_listed_with_their_defaults() -> None:
    found = {key: default for key, default, _ in rows(FILES["config"])}
    assert found["campaign"] == "required"
    assert found["protocol.blocks"] == "5"
    assert found["protocol.exclusive"] == "`false`"
    assert found["containers.sandbox.pids"] == "the recipe's"
    assert found["containers.env"] == found["parents"] == "none"
    assert found["agents.NAME.patches"] == "required"


@pytest.mark.parametrize(
    ("kind", "path"),
    [(kind, path) for kind, paths in KINDS.items() for path in paths],
    ids=lambda value: value.name if isinstance(value, Path) else value,
)
def test_files_of_this_repository_are_valid_by_the_schema(kind: str, path: Path) -> None:
    validator = jsonschema.Draft202012Validator(json_schema(FILES[kind], kind))
    value: dict[str, Any] = read_yaml(path)
    validator.validate(value)
    with pytest.raises(jsonschema.ValidationError):
        validator.validate(value | {"surprise": 1})
