"""The judge in the process runtime: a process of this package, without anything of the subject."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from patchbench.runtimes import Place
from patchbench.runtimes.process import ProcessRuntime
from patchbench.system import processes
from tests.unit.conftest import soon

PLACE = Place("c" * 40, "alba", "judge", keep=(7,))


def test_it_runs_whatever_lies_in_the_working_folder(tmp_path: Path) -> None:
    (tmp_path / "patchbench.py").write_text("raise SystemExit('not the judge')")
    runtime = ProcessRuntime(tmp_path, tmp_path)
    out, err = tmp_path / "o", tmp_path / "e"
    words = ["--show", str(tmp_path / "no.judge")]
    child = runtime.start_judge(words, stdout=out, stderr=err, place=PLACE._replace(keep=()))
    assert soon(lambda: child.exit_code is not None, 30)
    child.stop(1)
    assert (child.exit_code, err.read_text()) == (2, f"judge: {words[1]}: no such file\n")


def test_it_sees_no_token_and_no_gpu_and_keeps_the_slot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: dict[str, Any] = {}

    def spawn(command: Sequence[str], *, env: Mapping[str, str], **more: Any) -> None:
        given.update(more, command=command, env=env)

    monkeypatch.setattr(processes, "spawn", spawn)
    monkeypatch.setenv("HF_TOKEN", "secret")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    place = PLACE._replace(gpus=("0",))
    ProcessRuntime(tmp_path, tmp_path).start_judge(
        ["--help"], stdout=tmp_path / "o", stderr=tmp_path / "e", place=place
    )
    names = {"PATH", "LANG", "LC_ALL", "TMPDIR", "LD_LIBRARY_PATH", "PYTHONPATH"}
    assert set(given["env"]) <= names
    assert (given["keep"], given["cwd"]) == ((7,), tmp_path)
