"""The table of causes."""

from __future__ import annotations

import re

import pytest

from patchbench.failures.causes import BLAMES, CAUSES
from patchbench.failures.signatures import SIGNATURES
from tests.unit.conftest import ROOT

STAGES = {
    "resolve_task",
    "fetch_patch",
    "validate_patch",
    "build_image",
    "server_start",
    "output_check",
    "benchmark",
    "parse_metrics",
    "any",
}


@pytest.mark.parametrize("name", CAUSES)
def test_a_cause_has_a_stage_a_blame_and_words_for_a_person(name: str) -> None:
    cause = CAUSES[name]
    assert cause.stage in STAGES
    assert cause.blame in BLAMES
    assert cause.title and cause.advice
    assert not cause.title.endswith(".")


def test_causes_of_the_machine_are_never_an_agents() -> None:
    for name, cause in CAUSES.items():
        if name.startswith("infra."):
            assert cause.blame == "infra", name
        if name.startswith("harness."):
            assert cause.blame == "harness", name
        if name.startswith(("image.", "task.")):
            assert cause.blame != "agent", name


def test_only_a_patch_that_never_came_is_missing() -> None:
    assert [name for name, cause in CAUSES.items() if cause.missing] == ["patch.missing"]


def test_every_cause_that_a_signature_names_is_in_the_table() -> None:
    assert {signature.cause for signature in SIGNATURES} <= CAUSES.keys()


def test_every_cause_that_the_code_names_is_in_the_table() -> None:
    named = re.compile(r'"((?:patch|image|bench|check|harness)\.[a-z_]+)"')
    used = {
        (path.name, name)
        for path in (ROOT / "src" / "patchbench").rglob("*.py")
        for name in named.findall(path.read_text(encoding="utf-8"))
        if not name.endswith((".diff", ".py"))
    }
    assert sorted(f"{file}: {name}" for file, name in used if name not in CAUSES) == []
    assert {"patch.empty", "bench.partial", "check.failed"} <= {name for _, name in used}
