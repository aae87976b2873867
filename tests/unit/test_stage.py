"""What a script adds to an outcome: the command that finds it again, and what can be done."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

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
    assert found.command == "python -m patchbench.workflow.stages.fetch_patch --arm 'two words'"
    assert found.advice == CAUSES["patch.missing"].advice


def test_success_needs_no_advice(missing: Fetched) -> None:
    found = stage.signed(msgspec.structs.replace(missing, status="ok", cause=None))
    assert found.advice == ""
    assert found.command


def test_what_was_passed_on_keeps_its_own_stages_words(missing: Fetched) -> None:
    first = stage.signed(missing)
    sys.argv[:] = ["workflow/scripts/build_image.py"]
    assert stage.signed(first) == first


def shell(command: str, **environment: str) -> str:
    """What a shell prints in which only so much of an environment is left."""
    env = {"PATH": "/usr/bin:/bin", **environment}
    words = ["bash", "-euo", "pipefail", "-c", command]
    return subprocess.run(words, env=env, check=True, capture_output=True, text=True).stdout.strip()


def test_python_is_the_interpreter_that_runs_snakemake(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CONDA_PREFIX", raising=False)
    ours = str(Path(sys.executable).with_name("python"))
    first = stage.interpreter_first().format() + "command -v python"
    assert shell(first) == ours
    # In an environment that was made for the job, that one's.
    assert shell(first + " || true", CONDA_PREFIX="/made") != sys.executable
    monkeypatch.setenv("CONDA_PREFIX", "/a person's own")
    first = stage.interpreter_first().format() + "command -v python"
    assert shell(first, CONDA_PREFIX="/a person's own") == str(
        Path(sys.executable).with_name("python")
    )
