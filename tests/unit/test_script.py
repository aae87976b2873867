"""What a script adds to an outcome: the command that finds it again, and what can be done."""

from __future__ import annotations

import sys

import msgspec
import pytest

from patchbench.failures.causes import CAUSES
from patchbench.records import Fetched
from patchbench.workflow import stage


@pytest.fixture
def missing(monkeypatch: pytest.MonkeyPatch) -> Fetched:
    monkeypatch.setattr(sys, "argv", ["workflow/scripts/fetch_patch.py", "--arm", "two words"])
    return Fetched(
        stage="fetch_patch", commit="a" * 40, arm="alba", status="failed", cause="patch.missing"
    )


def test_a_failure_says_what_finds_it_again_and_what_can_be_done(missing: Fetched) -> None:
    found = stage.signed(missing)
    assert found.command == "python workflow/scripts/fetch_patch.py --arm 'two words'"
    assert found.advice == CAUSES["patch.missing"].advice


def test_success_needs_no_advice(missing: Fetched) -> None:
    found = stage.signed(msgspec.structs.replace(missing, status="ok", cause=None))
    assert found.advice == ""
    assert found.command


def test_what_was_passed_on_keeps_its_own_stages_words(missing: Fetched) -> None:
    first = stage.signed(missing)
    sys.argv[:] = ["workflow/scripts/build_image.py"]
    assert stage.signed(first) == first
