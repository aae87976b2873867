"""Launches: what they refuse to start, and the windows of one server."""

from __future__ import annotations

from pathlib import Path

import pytest

from patchbench.errors import InfraFault
from patchbench.grading import window
from patchbench.launch import Launch, check_model
from tests.unit import make


def launch(model: str, known: dict[str, str]) -> Launch:
    task = make.task(subject=make.subject(model=known))
    nothing = dict.fromkeys(("arm", "image", "judge", "folder", "runtime", "guard", "gpus", "keep"))
    return Launch(
        **{**nothing, "arm": "brio", "task": task, "workload": make.workload(model=model)}
    )


def test_a_model_folder_that_is_gone_is_the_machines_fault(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    with pytest.raises(InfraFault, match=r"infra\.model_missing .* arm brio .*put the model back"):
        check_model(launch(str(folder), {"tiny": str(folder)}))
    folder.mkdir()
    check_model(launch(str(folder), {"tiny": str(folder)}))


def test_a_model_that_is_only_a_name_is_not_looked_for() -> None:
    check_model(launch("meta-llama/Llama-2-7b", {}))


def test_one_window_has_plain_names_and_each_other_its_number() -> None:
    assert window(1) == ("benchmark", "result.json")
    assert window(3) == ("benchmark-3", "result-3.json")
    assert window(3).logs == ("benchmark-3.stderr", "benchmark-3.stdout")
