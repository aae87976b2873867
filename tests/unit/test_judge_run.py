"""Launches whose windows the judge measures: what they leave, and how they end."""

from __future__ import annotations

import hashlib
import os
import signal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from patchbench.benchmark.judge_run import load_of
from patchbench.benchmark.launch import run
from patchbench.benchmark.provenance import processor_time
from patchbench.config import Limits, Protocol
from patchbench.errors import BadInput, InfraFault
from patchbench.grading.run_folder import ANSWERS, DIALECT, LOAD
from patchbench.judge.draws import commitment
from patchbench.judge.ends import EXIT_LATE, EXIT_REFUSED
from patchbench.judge.record import Dialect, read_window
from patchbench.load import DataSet
from patchbench.load import Load as LoadType
from patchbench.records import Phase
from patchbench.runtimes.process import ProcessRuntime
from patchbench.subject import Server
from patchbench.system import processes
from patchbench.system.files import read_json
from patchbench.system.processes import Guard
from tests.unit import judged, make
from tests.unit.judge_make import SECRET, make_load


def ends(phases: tuple[Phase, ...]) -> list[tuple[str, str]]:
    return [(phase.name, phase.status) for phase in phases]


READY = [("server_start", "ok"), ("output_check", "ok")]


def test_a_launch_leaves_a_record_per_window(tmp_path: Path, guard: Guard) -> None:
    launch = judged.launch(tmp_path, guard, judged.tree(tmp_path / "tree"))
    phases = run(launch)
    assert ends(phases) == [*READY, ("benchmark", "ok"), ("stop", "ok")]
    (seconds,) = processor_time(phases).values()
    assert 0 < float(seconds) < 60
    one, two = (read_window(launch.folder / f"window-{n}.judge") for n in (1, 2))
    assert (one.block, one.window, two.window) == (4, 1, 2)
    assert one.commitment == two.commitment == commitment(SECRET)
    assert not {a.prompt_digest for a in one.answers} & {a.prompt_digest for a in two.answers}
    assert not any(a.error for a in (*one.answers, *two.answers))
    assert read_json(launch.folder / DIALECT, Dialect) == one.dialect
    assert read_json(launch.folder / LOAD, LoadType) == one.load == load_of(launch)
    assert (launch.folder / ANSWERS).is_file()
    assert "window 2: 24 requests, 0 failed" in (launch.folder / "benchmark.stdout").read_text()


def test_the_load_sent_is_the_tasks_within_the_protocols_limits(
    tmp_path: Path, guard: Guard
) -> None:
    launch = judged.launch(tmp_path, guard, tmp_path)
    sent = load_of(launch)
    assert (sent.model, sent.windows) == ("tiny", 2)
    assert (sent.request_limit, sent.window_limit) == (20.0, 20.0)
    changed = {"model": "as planned", "windows": 1, "request_limit": 30.0, "window_limit": 60.0}
    assert msgspec.structs.replace(sent, **changed) == judged.LOAD
    nameless = judged.task(subject=make.subject(server=Server(command=("serve", "{model}"))))
    assert load_of(judged.launch(tmp_path, guard, tmp_path, task=nameless)).model == "meta/tiny"


def test_a_data_set_is_named_as_the_judge_sees_it(
    tmp_path: Path, guard: Guard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    data = DataSet(path="prompts.jsonl", sha256="0" * 64)
    launch = judged.launch(tmp_path, guard, tmp_path, task=judged.task(make_load(prompts=data)))
    prompts = load_of(launch).prompts
    assert isinstance(prompts, DataSet)
    assert prompts.path == str(tmp_path / "prompts.jsonl")


def test_the_judge_gets_inputs_and_no_gpu(tmp_path: Path, guard: Guard) -> None:
    """A container shows what ``reads`` names, nothing else."""
    given: dict[str, Any] = {}

    class Noting(ProcessRuntime):
        def start_judge(self, words: Any, *, place: Any, **files: Any) -> processes.Child:
            given.update(words=words, place=place)
            return super().start_judge(words, place=place, **files)

    model = tmp_path / "model"
    model.mkdir()
    (model / "tokenizer.json").write_text("{}")
    prompts = tmp_path / "prompts.jsonl"
    prompts.write_text('{"prompt": [1001, 1002]}\n')
    digest = hashlib.sha256(prompts.read_bytes()).hexdigest()
    data = DataSet(path=str(prompts), sha256=digest, output=8)
    work = make.workload(load=make_load(prompts=data), model=str(model))
    launch = judged.launch(
        tmp_path,
        guard,
        judged.tree(tmp_path / "tree"),
        task=judged.task(workload=work),
        gpus=("0",),
        runtime=Noting(tmp_path, tmp_path),
    )
    assert ends(run(launch))[-2:] == [("benchmark", "ok"), ("stop", "ok")]
    place = given["place"]
    assert (place.role, place.gpus) == ("judge", ())
    assert set(place.reads) == {
        launch.folder / LOAD, tmp_path / "secret", prompts, model / "tokenizer.json"
    }  # fmt: skip
    assert [path.name for path in place.writes] == [DIALECT, "window-1.judge", "window-2.judge"]


def test_a_server_that_refuses_the_load(tmp_path: Path, guard: Guard) -> None:
    launch = judged.launch(tmp_path, guard, judged.tree(tmp_path / "tree", text_only=True))
    phases = run(launch)
    assert ends(phases) == [*READY, ("benchmark", "failed"), ("stop", "ok")]
    assert phases[2].exit_code == EXIT_REFUSED
    assert phases[2].detail.startswith("the server refuses the load's request | HTTP 422: ")


def test_a_server_that_hangs(tmp_path: Path, guard: Guard) -> None:
    protocol = Protocol(limits=Limits(start=20, check=20, benchmark=0.5, stop=2), windows=2)
    launch = judged.launch(
        tmp_path,
        guard,
        judged.tree(tmp_path / "tree", cheat="hang"),
        task=judged.task(protocol=protocol),
    )
    phases = run(launch)
    assert ends(phases) == [*READY, ("benchmark", "timeout"), ("stop", "ok")]
    assert (phases[2].exit_code, "within 0.5 s" in phases[2].detail) == (EXIT_LATE, True)


@pytest.mark.parametrize("stream", [1, 20])
def test_a_server_that_dies_is_what_failed(tmp_path: Path, guard: Guard, stream: int) -> None:
    """While the judge finds its words, or under load: the judge ends before it can be seen."""
    launch = judged.launch(tmp_path, guard, judged.tree(tmp_path / "tree", dies=stream))
    phases = run(launch)
    assert phases[-2].name == "server_died" and phases[-2].exit_code == 3


def test_a_judge_that_is_killed(tmp_path: Path, guard: Guard) -> None:
    class Killing(ProcessRuntime):
        def start_judge(self, *words: Any, **files: Any) -> processes.Child:
            child = super().start_judge(*words, **files)
            os.kill(child.popen.pid, signal.SIGKILL)
            return child

    tree = judged.tree(tmp_path / "tree")
    launch = judged.launch(tmp_path, guard, tree, runtime=Killing(tmp_path, tmp_path))
    phases = run(launch)
    assert ends(phases) == [*READY, ("benchmark", "failed"), ("stop", "ok")]
    assert phases[2].exit_code == -signal.SIGKILL
    assert not list(launch.folder.glob("*.judge"))


def test_input_that_cannot_be_used_is_no_arms_fault(tmp_path: Path, guard: Guard) -> None:
    data = DataSet(path=str(tmp_path / "none"), sha256="0" * 64)
    task, tree = judged.task(make_load(prompts=data)), judged.tree(tmp_path / "tree")
    with pytest.raises(BadInput, match=r"none: No such file .* put the data set there .* log: "):
        run(judged.launch(tmp_path, guard, tree, task=task))


def test_a_fault_of_the_machine_ends_the_job(tmp_path: Path, guard: Guard) -> None:
    class Broken(ProcessRuntime):
        def start_judge(self, words: Any, **files: Any) -> processes.Child:
            full = ["/dev/null/{window}" if "{window}" in word else word for word in words]
            return super().start_judge(full, **files)

    tree = judged.tree(tmp_path / "tree")
    launch = judged.launch(tmp_path, guard, tree, runtime=Broken(tmp_path, tmp_path))
    with pytest.raises(InfraFault, match=r"^infra\.write_failed \| writing /.*run the same"):
        run(launch)
