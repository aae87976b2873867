"""A task at its parent's tree: what excludes it, what is rendered otherwise, what is shown."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest

from patchbench.config import Protocol
from patchbench.load import Batch, DataSetFile
from patchbench.plan.perf_command import parse_command
from patchbench.plan.resolve import resolve_from
from patchbench.plan.workload import judged, render
from patchbench.records import Task
from patchbench.subject import (
    Client,
    EngineSource,
    FactSources,
    Known,
    ModelNeed,
    ReachRule,
    Server,
    Subject,
)
from patchbench.system.files import digest
from tests.unit import make
from tests.unit.commits import history

SOURCES = FactSources(
    server=("eng/server.py",),
    arguments=("eng/server.py",),
    offline={"latency": ("bench/latency.py",)},
    engine=EngineSource(
        env="USE_V1", file="eng/envs.py", names={"0": "V0", "1": "V1"}, otherwise="V0"
    ),
    models=(
        ModelNeed(match="Llama-3[.]1", word="llama3", files=("eng/rope.py",), why="its rope type"),
    ),
)
SERVER = """
parser.add_argument("--model")
parser.add_argument("--served-model-name")
parser.add_argument("--port")
parser.add_argument("--dtype")

@app.get("/v1/models")
def models(): ...
"""
PARENT: Mapping[str, str | None] = {
    "eng/server.py": SERVER,
    "eng/envs.py": 'import os\nX = os.getenv("USE_V1", "0")\n',
    "eng/rope.py": "x = 1\n",
    "bench/latency.py": 'p.add_argument("--model")\np.add_argument("--batch-size")\n',
}
CHANGE: Mapping[str, str | None] = {"eng/core.py": "x = 2\n"}


def subject(**more: Any) -> Subject:
    return make.subject(
        **{
            "facts": SOURCES,
            "backend": "cuda",
            "reach": (
                ReachRule(words=("tpu",), needs={"backend": ("tpu",)}),
                ReachRule(paths=("eng/v1/",), needs={"engine": ("V1",)}),
            ),
            "server": Server(
                command=("python", "-m", "eng.server", "--model", "{model}", "--served-model-name",
                         "{model_name}", "--port", "{port}", "{server_args}"),
                flags=("--dtype", "--warp"),
            ),
            "clients": {
                "serving": Client(
                    command=("client", "--model", "{model_name}", "{client_args}"),
                    detect=("bench serve",),
                ),
                "latency": Client(
                    command=("python", "bench/latency.py", "--model", "{model}", "--output-json",
                             "{result}", "{client_args}"),
                    detect=("bench latency",),
                    optional=("--output-json",),
                ),
            },
            **more,
        }
    )  # fmt: skip


def resolved(
    folder: Path,
    command: str = "bench serve --model tiny --dtype half",
    *,
    parent: Mapping[str, str | None] = PARENT,
    change: Mapping[str, str | None] = CHANGE,
    message: str = "Make it fast",
    known: Known | None = None,
    **more: Any,
) -> Task:
    """A task resolved from a history of two commits."""
    repo, (before, commit) = history(folder, parent, change, messages=("before", message))
    engine = subject(known=known or Known())
    workload, exclusion = render(command, engine, max_gpus=1)
    assert exclusion is None
    task = make.task(
        commit, subject=engine, perf_command=command, workload=workload, parent=before, **more
    )
    return resolve_from(task, repo)


def reason(task: Task) -> tuple[str, str]:
    assert task.exclusion is not None
    assert task.workload is None
    return task.exclusion.reason, task.exclusion.evidence


def test_a_task_carries_the_facts_of_its_parent(tmp_path: Path) -> None:
    task = resolved(tmp_path)
    assert task.exclusion is None
    assert task.facts is not None
    assert (task.facts.engine, task.facts.ready) == ("V0", "/v1/models")
    assert task.facts.places == {"engine": "eng/envs.py:2", "ready": "eng/server.py:7"}


def test_an_older_server_is_asked_at_the_route_that_it_has(tmp_path: Path) -> None:
    assert subject().server.ready_path == "/health"
    assert resolved(tmp_path).subject.server.ready_path == "/v1/models"


def test_an_option_that_the_benchmark_can_do_without_is_left_out(tmp_path: Path) -> None:
    task = resolved(tmp_path, "bench latency --model tiny --batch-size 1")
    command = task.subject.clients["latency"].command
    assert command == ("python", "bench/latency.py", "--model", "{model}", "{client_args}")


def test_a_benchmark_that_has_the_option_gets_it(tmp_path: Path) -> None:
    newer = {
        **PARENT,
        "bench/latency.py": PARENT["bench/latency.py"] + 'p.add_argument("--output-json")\n',
    }
    task = resolved(tmp_path, "bench latency --model tiny", parent=newer)
    assert "{result}" in task.subject.clients["latency"].command


@pytest.mark.parametrize(
    ("command", "without", "expected"),
    [
        ("bench serve --model tiny", "eng/server.py", ("no_server", "eng/server.py")),
        ("bench latency --model tiny", "bench/latency.py", ("no_benchmark", "bench/latency.py")),
        ("bench serve --model tiny --warp 9", "", ("server_refuses_flag", "eng/server.py")),
        ("bench latency --model tiny --warp 9", "", ("benchmark_refuses_flag", "bench/latency.py")),
        ("bench serve --model x/Llama-3.1-8B", "", ("model_too_new", "eng/rope.py")),
        ("bench latency --model x/Llama-3.1-8B", "", ("model_too_new", "eng/rope.py")),
    ],
)
def test_a_fact_of_the_parent_excludes_a_task_and_names_its_file(
    tmp_path: Path, command: str, without: str, expected: tuple[str, str]
) -> None:
    parent = {path: text for path, text in PARENT.items() if path != without}
    why, evidence = reason(resolved(tmp_path, command, parent=parent))
    assert why == expected[0]
    assert expected[1] in evidence


def test_a_substitute_runs_in_place_of_a_model_that_is_too_new_and_is_shown(tmp_path: Path) -> None:
    command = "bench serve --model x/Llama-3.1-8B"
    task = resolved(tmp_path, command, substitute="x/Meta-Llama-3-8B")
    assert task.workload is not None
    assert task.workload.model == "x/Meta-Llama-3-8B"
    assert task.workload_id != "w1"
    assert any("x/Meta-Llama-3-8B runs in place of x/Llama-3.1-8B" in w for w in task.warnings)


def test_a_substitute_does_not_replace_a_model_that_the_engine_knows(tmp_path: Path) -> None:
    newer = {**PARENT, "eng/rope.py": 'kind = "llama3"\n'}
    command = "bench serve --model x/Llama-3.1-8B"
    task = resolved(tmp_path, command, parent=newer, substitute="x/Meta-Llama-3-8B")
    assert task.workload is not None
    assert task.workload.model == "x/Llama-3.1-8B"
    assert task.warnings == ()


def test_a_substitute_that_is_too_new_itself_is_no_help(tmp_path: Path) -> None:
    task = resolved(tmp_path, "bench serve --model Llama-3.1-8B", substitute="Llama-3.1-1B")
    assert reason(task)[1].startswith("Llama-3.1-1B")


@pytest.mark.parametrize(
    ("change", "excluded"),
    [
        ({"eng/worker_tpu.py": "x"}, True),
        ({"eng/v1/core.py": "x"}, True),
        ({"eng/v1/core.py": "x", "eng/core.py": "x"}, False),
        ({"eng/outputs.py": "x"}, False),
        ({"eng/v1/core.py": "x", "tests/core.py": "x", "README.md": "x"}, True),
    ],
)
def test_a_task_whose_own_commit_is_never_executed_is_excluded(
    tmp_path: Path, change: Mapping[str, str | None], excluded: bool
) -> None:
    task = resolved(tmp_path, change=change)
    assert (task.exclusion is not None) is excluded
    if excluded:
        assert reason(task)[0] == "human_not_exercised"
    if "eng/v1/core.py" in change and excluded:
        assert "engine V1, here V0 (eng/envs.py:2)" in reason(task)[1]


def test_the_environment_of_the_command_decides_the_engine(tmp_path: Path) -> None:
    task = resolved(tmp_path, "USE_V1=1 bench serve --model tiny", change={"eng/v1/core.py": "x"})
    assert task.exclusion is None


def test_an_engine_that_may_fall_back_for_a_model_decides_nothing(tmp_path: Path) -> None:
    newer = {**PARENT, "eng/envs.py": 'import os\nX = os.getenv("USE_V1", "1")\n'}
    older_code = {"eng/v0/core.py": "x"}
    rules = (ReachRule(paths=("eng/v0/",), needs={"engine": ("V0",)}),)
    assert SOURCES.engine is not None
    engine = msgspec.structs.replace(SOURCES.engine, undecided="(?i)bamba")
    sources = msgspec.structs.replace(SOURCES, engine=engine)
    repo, (before, commit) = history(tmp_path, newer, older_code)

    def excluded(model: str, env: dict[str, str]) -> bool:
        task = make.task(
            commit,
            subject=subject(facts=sources, reach=rules),
            parent=before,
            workload=make.workload(model=model, env=env),
        )
        return resolve_from(task, repo).exclusion is not None

    assert excluded("org/Llama", {})
    assert not excluded("org/Bamba-9B", {})
    assert excluded("org/Bamba-9B", {"USE_V1": "1"})
    assert not excluded("org/Llama", {"USE_V1": "0"})


def test_what_only_a_person_knows_of_reach_excludes_too(tmp_path: Path) -> None:
    repo, (before, commit) = history(tmp_path, PARENT, CHANGE)
    engine = subject(known=Known(unreached={commit[:8]: "one function that nothing calls"}))
    task = make.task(commit, subject=engine, parent=before)
    assert reason(resolve_from(task, repo)) == (
        "human_not_exercised",
        "one function that nothing calls",
    )


def test_a_revert_is_marked(tmp_path: Path) -> None:
    task = resolved(tmp_path, message='Revert "Make it fast"')
    assert task.exclusion is None
    assert task.warnings == ('revert: it takes a change back: Revert "Make it fast"',)


def test_without_a_clone_nothing_is_known_and_nothing_excluded() -> None:
    task = make.task(subject=subject(), perf_command="bench serve --model x/Llama-3.1-8B")
    assert resolve_from(task, None) == task


def test_the_name_under_which_our_server_is_asked_is_ours() -> None:
    command = "bench serve --model org/tiny --served-model-name org/tiny --port 8000 --rate 2"
    workload, _ = render(command, subject(), max_gpus=1)
    assert workload is not None
    assert workload.client_args == ("--rate", "2")
    assert workload.server_args == ()


# --- measured by the judge -------------------------------------------------------------------

BENCH = """
p.add_argument("--batch-size", type=int, default=4)
p.add_argument("--num-iters", type=int, default=3)
p.add_argument("--input-len", type=int, default=16)
"""
JUDGE = Protocol(measure="judge")


def judged_task(folder: Path, command: str, **more: Any) -> Task:
    """A task with a load, resolved from a history of two commits."""
    repo, (before, commit) = history(folder, {**PARENT, "bench/latency.py": BENCH}, CHANGE)
    engine = subject()
    workload, _ = render(command, engine, max_gpus=1)
    assert workload is not None
    made = judged(workload, parse_command(command, engine), engine, data_sets={})
    task = make.task(
        commit,
        subject=engine,
        perf_command=command,
        workload=made.workload,
        exclusion=made.exclusion,
        parent=before,
        protocol=JUDGE,
        **more,
    )
    return resolve_from(task, repo)


def test_what_a_command_leaves_out_has_the_default_of_the_parents_parser(tmp_path: Path) -> None:
    task = judged_task(tmp_path, "bench latency --model tiny --dtype half")
    assert task.exclusion is None
    assert task.workload is not None
    assert task.workload.load is not None
    assert task.workload.load.shape == Batch(size=4, rounds=3)
    assert task.workload.load.warmup == 4  # that parser knows no --num-iters-warmup
    assert task.workload.server_args == ("--dtype", "half")
    assert task.workload_id == digest(task.workload)


def test_an_offline_commands_engine_options_need_the_parents_server(tmp_path: Path) -> None:
    task = judged_task(tmp_path, "bench latency --model tiny --warp 9")
    name, evidence = reason(task)
    assert name == "server_refuses_flag"
    assert "--warp" in evidence


def test_the_judge_asks_for_no_benchmark_of_the_parents(tmp_path: Path) -> None:
    repo, (before, commit) = history(tmp_path, {**PARENT, "bench/latency.py": None}, CHANGE)
    command = "bench latency --model meta/Llama-3.1-8B"
    engine = subject()
    workload, _ = render(command, engine, max_gpus=1)
    assert workload is not None
    made = judged(workload, parse_command(command, engine), engine, data_sets={})
    task = make.task(
        commit, subject=engine, perf_command=command, workload=made.workload, parent=before,
        protocol=JUDGE, substitute="meta/Llama-3-8B",
    )  # fmt: skip
    done = resolve_from(task, repo)
    assert done.workload is not None
    assert done.workload.load is not None
    assert done.workload.load.model == "Llama-3-8B"


@pytest.mark.parametrize("there", [True, False])
def test_a_data_set_must_be_there(tmp_path: Path, there: bool) -> None:
    file = tmp_path / "set.json"
    data = {"sharegpt": DataSetFile(file=str(file), sha256="a" * 64, get="the hub")}
    if there:
        file.touch()
    engine = make.subject()
    command = "bench serve --model tiny --dataset-name sharegpt"
    workload, _ = render(command, engine, max_gpus=1)
    assert workload is not None
    made = judged(workload, parse_command(command, engine), engine, data_sets=data)
    task = make.task(workload=made.workload, subject=engine, data_sets=data, protocol=JUDGE)
    done = resolve_from(task, None)
    assert (done.exclusion is None) == there
    if not there:
        assert reason(done) == ("data_set_missing", f"no file {file} | get it: the hub")
